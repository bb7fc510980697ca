"""Over loopback, which has to be allowed for that: what is refused otherwise is tested here as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.oci.faults import Unavailable
from proxy.upstream.outbound import Outbound, check_address, is_near

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
KINDS = ("application/timestamp-query", "application/timestamp-reply")


def reply(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    size = f"Content-Length: {len(body) if length is None else length}"
    return "\r\n".join((f"HTTP/1.1 {status}", size, *headers, "", "")).encode() + body


@asynccontextmanager
async def talking(talk: Talk | bytes) -> AsyncIterator[str]:
    """A server that answers every connection's first request in raw bytes; yields HOST:PORT."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if isinstance(talk, bytes):
                writer.write(talk)
                await writer.drain()
            else:
                await talk(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def get(url: str, *allowed: str, limit: int = 100, seconds: float = 5.0) -> bytes:
    outbound = Outbound(allowed)
    try:
        return await outbound.get(url, limit=limit, seconds=seconds)
    finally:
        await outbound.close()


async def test_what_is_there_is_returned_whole() -> None:
    async with talking(reply(b"a list")) as at:
        assert await get(f"http://{at}/ca.crl", at) == b"a list"


async def test_a_question_says_what_it_is_and_what_it_wants() -> None:
    heads: list[bytes] = []

    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(reply(b"token", "200 OK", "Content-Type: application/timestamp-reply"))

    async with talking(talk) as at:
        outbound = Outbound({at})
        assert await outbound.post(f"http://{at}/tsr", b"query", KINDS, limit=9, seconds=5) == b"token"
        await outbound.close()
    assert b"POST /tsr HTTP/1.1" in heads[0]
    assert b"Content-Type: application/timestamp-query" in heads[0]
    assert b"Accept: application/timestamp-reply" in heads[0]
    assert b"Authorization" not in heads[0]


async def test_an_answer_of_another_kind_is_none() -> None:
    async with talking(reply(b"<html>", "200 OK", "Content-Type: text/html")) as at:
        outbound = Outbound({at})
        with pytest.raises(Unavailable, match="'text/html' instead of application/timestamp-reply"):
            await outbound.post(f"http://{at}/", b"q", KINDS, limit=9, seconds=5)
        await outbound.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:7f00:1]"]
)
async def test_this_very_host_is_not_asked_however_it_is_written(host: str) -> None:
    asked: list[bytes] = []

    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head)

    async with talking(talk) as at:
        with pytest.raises(Unavailable):
            await get(f"http://{host}:{at.rpartition(':')[2]}/", "127.0.0.1:1")
    assert asked == []


async def test_a_redirect_is_not_followed_wherever_it_leads() -> None:
    async with talking(reply(b"", "302 Found", "Location: http://169.254.169.254/latest/")) as at:
        with pytest.raises(Unavailable, match=r"answered 302 \(to 'http://169.254.169.254/latest/'; redirects"):
            await get(f"http://{at}/", at)


async def test_more_than_asked_for_is_nothing_announced_or_not() -> None:
    async with talking(reply(b"x" * 101)) as at:
        with pytest.raises(Unavailable, match="more than 100 bytes"):
            await get(f"http://{at}/", at)

    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()

    async with talking(endless) as at:
        with pytest.raises(Unavailable, match="more than 100 bytes"):
            await get(f"http://{at}/", at)


async def test_a_body_cut_short_is_not_a_shorter_one() -> None:
    async with talking(reply(b"half", length=8)) as at:
        with pytest.raises(Unavailable):
            await get(f"http://{at}/", at)


async def test_who_does_not_answer_in_time_did_not_answer() -> None:
    async def silent(_head: bytes, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with talking(silent) as at:
        with pytest.raises(Unavailable, match=r"did not answer within 0.2 s"):
            await get(f"http://{at}/", at, seconds=0.2)


async def test_an_error_and_nobody_there_are_said_without_the_query() -> None:
    async with talking(reply(b"no", "500 Oops")) as at:
        with pytest.raises(Unavailable, match=r"^http://127.0.0.1:[0-9]+ answered 500$"):
            await get(f"http://{at}/?key=secret", at)
    with pytest.raises(Unavailable, match=r"^http://127.0.0.1:[0-9]+: ") as gone:
        await get(f"http://{at}/?key=secret", at)
    assert "secret" not in gone.value.what


NEAR = (
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255",  # noqa: S104
    "100.100.100.200", "::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
)  # fmt: skip
FAR = ("10.0.0.7", "192.168.1.1", "172.16.0.1", "93.184.216.34", "2606:2800::1", "fd12::1", "::ffff:10.0.0.7")


@pytest.mark.parametrize("address", NEAR)
def test_this_host_and_its_links_are_near_however_they_are_written(address: str) -> None:
    assert is_near(address)


@pytest.mark.parametrize("address", FAR)
def test_other_hosts_are_not_private_ones_neither(address: str) -> None:
    assert not is_near(address)


def test_what_is_near_is_refused_unless_it_is_allowed_by_the_name_it_is_asked_under() -> None:
    with pytest.raises(Unavailable, match=r"tsa is 127.0.0.1.*add `tsa:318` to outbound.allow"):
        check_address("tsa", 318, "127.0.0.1", ())
    with pytest.raises(Unavailable):
        check_address("tsa", 318, "127.0.0.1", {"tsa:319", "other", "127.0.0.1"})
    check_address("tsa", 318, "127.0.0.1", {"tsa:318"})
    check_address("tsa", 318, "127.0.0.1", {"tsa"})
    check_address("tsa", 318, "10.0.0.7", ())
