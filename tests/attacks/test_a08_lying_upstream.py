"""ATTACK 8, at the border: an upstream that cuts, inflates, squeezes or mislabels what it sends is no answer.

That bytes are held against their digest is the flows' part, and tested with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.registry.ports.upstream import Credential, ReferrersApi
from proxy.upstream.client import Upstream

REPOSITORY = parse_repository("team/app")
PULL = ops.PullManifest(REPOSITORY, parse_tag("1"))
ANYBODY = Credential()
SOMETHING = digest_of(b"x")
LIMIT = 1000


@asynccontextmanager
async def answering(answer: bytes, *, endless: bytes = b"") -> AsyncIterator[Upstream]:
    """An upstream that says these bytes to whatever it is asked, and then perhaps goes on for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while endless:
                writer.write(endless)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", limits=Limits(body_idle_s=2))
    try:
        yield upstream
    finally:
        await upstream.close()
        server.close()


def reply(headers: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers.splitlines())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        reply("Content-Length: 10", b"short"),
        reply("Transfer-Encoding: chunked", b"5\r\nshort\r\n"),
        reply("Transfer-Encoding: chunked", b"10\r\nshort"),
        reply("Transfer-Encoding: chunked", b"zz\r\nshort\r\n0\r\n\r\n"),
        reply("Content-Length: 5\nContent-Length: 6", b"short"),
        reply("Content-Length: 5\nTransfer-Encoding: chunked", b"5\r\nshort\r\n0\r\n\r\n"),
        reply("Content-Length: -5", b"short"),
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/9.9 two hundred\r\n\r\n",
        b"",
    ],
)
async def test_what_breaks_off_or_contradicts_itself_is_no_answer(answer: bytes) -> None:
    async with answering(answer) as upstream:
        with pytest.raises(Unavailable):
            await (await upstream.perform(PULL, ANYBODY)).read(LIMIT)


@pytest.mark.parametrize("status", ["304 Not Modified", "206 Partial Content"])
async def test_an_answer_to_another_question_is_a_lie(status: str) -> None:
    async with answering(reply("Content-Length: 0", status=status)) as upstream:
        with pytest.raises(Corrupt, match="did not ask for it"):
            await upstream.perform(PULL, ANYBODY)


async def test_another_protocol_is_no_answer() -> None:
    async with answering(reply("Upgrade: h2c\nConnection: Upgrade", status="101 Switching Protocols")) as upstream:
        with pytest.raises((Corrupt, Unavailable)):
            await upstream.perform(PULL, ANYBODY)


async def test_a_squeezed_body_is_not_unpacked() -> None:
    async with answering(reply("Content-Encoding: gzip\nContent-Length: 2", b"\x1f\x8b")) as upstream:
        with pytest.raises(Corrupt):
            await (await upstream.perform(PULL, ANYBODY)).read(LIMIT)


@pytest.mark.parametrize("headers", ["Content-Length: 99999999999", "Transfer-Encoding: chunked", "Connection: close"])
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
async def test_a_body_without_an_end_is_read_to_the_limit_only(headers: str, status: str) -> None:
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    async with answering(reply(headers, status=status), endless=chunk) as upstream:
        with pytest.raises(Fault) as raised:
            await (await upstream.perform(PULL, ANYBODY)).read(LIMIT)
        assert raised.value.status == 413


async def test_headers_without_an_end_are_no_answer() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n", endless=b"X: " + b"x" * 1000 + b"\r\n") as upstream:
        with pytest.raises(Unavailable):
            await upstream.perform(PULL, ANYBODY)


async def test_headers_that_could_be_read_differently_are_not_handed_on() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDocker-Content-Digest: \x9b31m\xff\r\nETag: ok\r\n\r\n"
    async with answering(answer) as upstream:
        got = await upstream.perform(PULL, ANYBODY)
        assert got.headers == (("content-length", "0"), ("etag", "ok"))
        await got.close()


@pytest.mark.parametrize(
    "answer",
    [
        reply("Content-Type: text/html\nContent-Length: 6", b"<html>"),
        reply("Content-Type: application/json\nContent-Length: 2", b"{}"),
        reply("Content-Length: 0", status="204 No Content"),
        reply("Content-Length: 0", status="401 Unauthorized"),
        reply("Content-Length: 0", status="429 Too Many Requests"),
        reply("Content-Length: 0", status="500 Internal Server Error"),
        reply("Content-Length: 0\nLocation: https://evil.example/", status="302 Found"),
    ],
)
async def test_only_the_referrers_api_itself_is_the_referrers_api(answer: bytes) -> None:
    async with answering(answer) as upstream:
        with suppress(Unavailable):
            assert await upstream.referrers_api(REPOSITORY, SOMETHING, ANYBODY) is ReferrersApi.UNKNOWN


async def test_a_header_that_claims_referrers_proves_nothing() -> None:
    claims = "OCI-Subject: sha256:1\nContent-Type: text/plain\nContent-Length: 3"
    async with answering(reply(claims, b"404", status="404 Not Found")) as upstream:
        assert await upstream.referrers_api(REPOSITORY, SOMETHING, ANYBODY) is ReferrersApi.UNKNOWN


@pytest.mark.parametrize("head", [True, False])
async def test_what_follows_an_answer_is_not_the_next_answer(head: bool) -> None:
    forged = reply("ETag: forged\nContent-Length: 0")
    first = reply(f"ETag: true\nContent-Length: {len(forged) if head else 0}") + forged
    async with answering(first) as upstream:
        for _ in range(3):
            try:
                got = await upstream.perform(ops.PullBlob(REPOSITORY, digest_of(b""), head=head), ANYBODY)
            except Unavailable:
                continue
            assert dict(got.headers)["etag"] == "true"
            await got.close()
