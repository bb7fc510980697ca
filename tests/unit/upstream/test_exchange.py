"""Over loopback: what aiohttp does by itself is exactly what is tested here."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from proxy.oci.faults import Told, Unavailable
from proxy.oci.limits import Limits
from proxy.upstream.exchange import FIELDS, HEADER_BYTES, Exchange

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
IMPATIENT = Limits(body_idle_s=0.2)


@asynccontextmanager
async def talking(
    talk: Talk, limits: Limits | None = None, tls: ssl.SSLContext | None = None, ca_file: str | None = None
) -> AsyncIterator[Exchange]:
    """A server that speaks in raw bytes, and an exchange with it."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    exchange = Exchange(f"{'https' if tls else 'http'}://127.0.0.1:{port}", limits or Limits(), ca_file=ca_file)
    try:
        yield exchange
    finally:
        await exchange.close()
        server.close()


async def head_of(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def test_a_request_says_what_was_handed_in_and_nothing_else() -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await head_of(reader))
        writer.write(OK)

    async with talking(talk) as exchange:
        target = "/v2/a/b?_state=a%2Bb%2f%3D&x=%E4"
        response = await exchange.send("GET", exchange.base + target, [("accept", "a/b"), ("accept", "c/d")])
        assert await response.read() == b"ok"
        lines = heads[0].split("\r\n")
        assert lines[0] == f"GET {target} HTTP/1.1"
        names = [line.partition(":")[0].lower() for line in lines[1:] if line]
        assert sorted(names) == ["accept", "accept", "accept-encoding", "host"]
        assert "Accept-Encoding: identity" in lines


@pytest.mark.parametrize("length", [None, 6])
async def test_a_body_is_framed_in_one_way(length: int | None) -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await head_of(reader)).lower())
        await reader.readexactly(6 if length else len(b"6\r\nabcdef\r\n0\r\n\r\n"))
        writer.write(OK)

    async def body() -> AsyncIterator[bytes]:
        yield b"abcdef"

    async with talking(talk) as exchange:
        response = await exchange.send("PATCH", exchange.base + "/x", [], body(), length=length)
        assert await response.read() == b"ok"
    assert ("content-length: 6" in heads[0]) is (length is not None)
    assert ("transfer-encoding: chunked" in heads[0]) is (length is None)


@pytest.mark.parametrize("length", [5, 7])
async def test_a_body_that_is_not_as_long_as_promised_is_not_sent_as_whole(length: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    async with talking(talk) as exchange:
        with pytest.raises(Unavailable):
            await exchange.send("PATCH", exchange.base + "/x", [], body(), length=length)


async def test_a_body_that_breaks_off_ends_the_request() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ConnectionResetError("the caller went away")

    async with talking(talk) as exchange:
        with pytest.raises(Unavailable):
            await exchange.send("PUT", exchange.base + "/x", [], body())


async def test_a_dead_kept_connection_is_replaced_where_that_is_allowed() -> None:
    served = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        await head_of(reader)
        writer.write(OK)
        if served == 1:
            await head_of(reader)  # and hangs up on the second request

    async with talking(talk) as exchange:
        assert await (await exchange.send("GET", exchange.base + "/1", [])).read() == b"ok"
        assert await (await exchange.send("GET", exchange.base + "/2", [], again=True)).read() == b"ok"
    assert served == 2


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_nothing_is_sent_twice_where_it_is_not(method: str) -> None:
    served = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        await head_of(reader)

    async with talking(talk) as exchange:
        with pytest.raises(Unavailable):
            await exchange.send(method, exchange.base + "/x", [], b"abc" if method == "PUT" else None)
    assert served == 1


async def test_a_body_is_never_sent_twice() -> None:
    served = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        await head_of(reader)

    async with talking(talk) as exchange:
        with pytest.raises(Unavailable):
            await exchange.send("PUT", exchange.base + "/x", [], b"abc", again=True)
    assert served == 1


async def test_redirects_are_handed_back() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    async with talking(talk) as exchange:
        response = await exchange.send("GET", exchange.base + "/x", [])
        assert (response.status, response.headers["Location"]) == (307, "http://127.0.0.1:1/")


async def test_cookies_are_forgotten() -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await head_of(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    async with talking(talk) as exchange:
        for _ in range(2):
            await (await exchange.send("GET", exchange.base + "/x", [])).read()
    assert "cookie" not in heads[1].lower()


async def test_silence_ends_in_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with talking(talk, IMPATIENT) as exchange:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="no answer in time"):
            await exchange.send("GET", exchange.base + "/x?secret", [])
        assert time.monotonic() - begun < 5


async def test_an_upstream_that_stops_taking_a_body_ends_in_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await asyncio.sleep(10)

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async with talking(talk, IMPATIENT) as exchange:
        with pytest.raises(Unavailable, match="no answer in time"):
            await exchange.send("PATCH", exchange.base + "/x", [], body())


async def test_a_slow_caller_is_not_upstreams_silence() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await reader.readexactly(4)
        writer.write(OK)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.15)
            yield b"x"

    async with talking(talk, IMPATIENT) as exchange:
        response = await exchange.send("PATCH", exchange.base + "/x", [], body(), length=4)
        assert await response.read() == b"ok"


async def test_an_answer_before_the_body_was_sent_is_an_answer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x"
            await asyncio.sleep(0.02)

    async with talking(talk, IMPATIENT) as exchange:
        response = await exchange.send("PATCH", exchange.base + "/x", [], body(), length=20)
        assert (response.status, await response.read()) == (401, b"no")
        response.release()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_no_answer(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer)

    async with talking(talk) as exchange:
        with pytest.raises(Unavailable):
            await exchange.send("GET", exchange.base + "/x", [])


async def test_nobody_listening() -> None:
    exchange = Exchange("http://127.0.0.1:1", Limits())
    with pytest.raises(Unavailable, match=r"did not answer: .*http://127\.0\.0\.1:1/v2/"):
        await exchange.send("GET", "http://127.0.0.1:1/v2/?secret=1", [])
    await exchange.close()


async def test_a_certificate_of_our_own_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(OK)

    async with talking(talk, tls=context, ca_file=str(ca_file)) as exchange:
        assert await (await exchange.send("GET", exchange.base + "/x", [])).read() == b"ok"
    async with talking(talk, tls=context) as exchange:
        with pytest.raises(Unavailable, match="certificate"):
            await exchange.send("GET", exchange.base + "/x", [])


async def test_our_certificate_is_shown_to_upstream_and_not_to_its_realm(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    ca_file, pair = tmp_path / "ca.pem", tmp_path / "ours.pem"
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("proxy@example.com").private_key_and_cert_chain_pem.write_to_path(pair)
    shown: list[bool] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(bool(writer.get_extra_info("peercert")))
        await head_of(reader)
        writer.write(OK)

    async with talking(talk, tls=context) as upstream, talking(talk, tls=context) as realm:
        ours = Exchange(upstream.base, Limits(), ca_file=str(ca_file), client_cert=(str(pair), str(pair)))
        for place in (upstream.base, realm.base):
            assert await (await ours.send("GET", place + "/x", [])).read() == b"ok"
        await ours.close()
    assert shown == [True, False]


@pytest.mark.parametrize("url", ["registry", "ftp://x", "https://user:pw@x", "https://x/?a=b", "https://x/#a"])
async def test_an_upstream_is_a_plain_url(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Exchange(url, Limits())


def test_plain_http_read_the_authorities_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[str | None] = []
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile=None: made.append(cafile))
    Exchange("http://127.0.0.1:1", Limits())
    assert made == []
    Exchange("http://127.0.0.1:1", Limits(), ca_file=str(tmp_path / "ca.pem"))
    assert made == [str(tmp_path / "ca.pem")], "a file that does not load is found at the start"


async def test_the_certificate_is_the_one_that_is_shown_now(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with talking(talk, tls=tls, ca_file=str(tmp_path / "ca.pem")) as exchange:
        shown = await exchange.certificate()
    first = certificate.cert_chain_pems[0].bytes()
    assert shown == ssl.PEM_cert_to_DER_cert(first.decode())
    async with talking(talk) as plain:
        assert await plain.certificate() is None
    with pytest.raises(Unavailable):
        await exchange.certificate()


@pytest.mark.parametrize("name", [b"X-Long", b"Location", b"WWW-Authenticate"])
async def test_a_header_of_upstreams_may_have_64_kib_and_one_with_more_is_told_with_its_bound(name: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = HEADER_BYTES if b"/below" in head else HEADER_BYTES + 256
            writer.write(b"HTTP/1.1 200 OK\r\n" + name + b": " + b"x" * size + b"\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async with talking(talk) as exchange:
        answer = await exchange.send("GET", f"{exchange.base}/below", [])
        assert len(answer.headers[name.decode()]) == HEADER_BYTES
        with pytest.raises(Unavailable, match="a header of more than the 65536 bytes that are read") as refused:
            await exchange.send("GET", f"{exchange.base}/above?secret", [])
        assert refused.value.told is Told.HEADERS
        assert f"{HEADER_BYTES // 1024} KiB" in Told.HEADERS
        assert "secret" not in refused.value.what


async def test_an_answer_may_have_hundreds_of_header_fields() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        fields = b"".join(b"X-%d: y\r\n" % n for n in range(FIELDS - 1))
        writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n")
        await writer.drain()

    async with talking(talk) as exchange:
        assert (await exchange.send("GET", exchange.base, [])).headers[f"X-{FIELDS - 2}"] == "y"
