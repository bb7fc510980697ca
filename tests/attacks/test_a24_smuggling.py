"""Request smuggling over a raw socket: no byte of one request is ever taken for another one (ATTACKS 24)."""

import pytest

from tests.worlds.listener import Recorder, everything, on_loopback, registry

EVIL = b"GET /v2/evil/manifests/v1 HTTP/1.1\r\nHost: proxy\r\n\r\n"
PUT = b"PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: proxy\r\n"


def evil(flow: Recorder) -> bool:
    return any(getattr(operation, "repository", "") == "evil" for operation, _ in flow.requests)


AMBIGUOUS = {
    "length and chunked": PUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "chunked and length": PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + EVIL,
    "two lengths": PUT + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(EVIL) + EVIL,
    "two equal lengths": PUT + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + EVIL,
    "a list of lengths": PUT + b"Content-Length: 0, 0\r\n\r\n" + EVIL,
    "signed length": PUT + b"Content-Length: +0\r\n\r\n" + EVIL,
    "negative length": PUT + b"Content-Length: -1\r\n\r\n" + EVIL,
    "hexadecimal length": PUT + b"Content-Length: 0x0\r\n\r\n" + EVIL,
    "length with an underscore": PUT + b"Content-Length: 1_0\r\n\r\n" + EVIL,
    "enormous length": PUT + b"Content-Length: 99999999999999999999999\r\n\r\n" + EVIL,
    "space before the colon": PUT + b"Content-Length : 0\r\n\r\n" + EVIL,
    "transfer-encoding with a space": PUT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "transfer-encoding unknown": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + EVIL,
    "transfer-encoding identity": PUT + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + EVIL,
    "chunked twice": PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "chunked not last": PUT + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + EVIL,
    "transfer-encoding by control character": PUT + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + EVIL,
    "folded header": PUT + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "folded transfer-encoding": PUT + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "bare line feeds": b"PUT /v2/app/manifests/v1 HTTP/1.1\nHost: proxy\nContent-Length: 0\n\n" + EVIL,
    "bare carriage return": PUT + b"X: a\rContent-Length: 0\r\n\r\n" + EVIL,
    "null in a name": PUT + b"Content\x00-Length: 0\r\n\r\n" + EVIL,
    "null in a value": PUT + b"X: a\x00b\r\n\r\n" + EVIL,
    "http/1.0 with chunked": PUT.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "http/1.0 keep-alive with chunked": PUT.replace(b"1.1", b"1.0")
    + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + EVIL,
    "http/0.9": b"GET /v2/app/manifests/v1\r\n" + EVIL,
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EVIL,
    "two hosts": b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "no host": b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n",
    "connect": b"CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n" + EVIL,
    "chunk size with a sign": PUT + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + EVIL,
    "chunk size 0x": PUT + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + EVIL,
    "chunk size too large": PUT + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + EVIL,
    "chunk longer than it says": PUT + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + EVIL,
    "chunk ended by a line feed": PUT + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + EVIL,
    "line feed in a chunk extension": PUT + b"Transfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n" + EVIL,
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_ends(sent: bytes) -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reply = await proxy.say(sent)
    assert not evil(flow), "the bytes after an ambiguous request were taken for a request"
    assert reply.count(b"HTTP/1.") <= 1
    assert reply == b"" or reply.split()[1] in {b"400", b"404", b"405", b"408", b"417"}


async def test_bodies_are_never_read_as_requests() -> None:
    flow = Recorder(read=False)
    async with on_loopback(registry(flow)) as proxy:
        await proxy.say(PUT + b"Content-Length: %d\r\n\r\n" % len(EVIL) + EVIL + b"GARBAGE\r\n\r\n")
    assert not evil(flow)
    assert len(flow.requests) <= 1


async def test_a_smaller_body_than_promised_waits_for_its_rest_and_takes_no_other() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        await proxy.say(PUT + b"Content-Length: %d\r\n\r\n" % (len(EVIL) + 100) + EVIL)
    assert not evil(flow)


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "tcp", "TLS/1.2", "foo"])
async def test_an_upgrade_is_never_made_and_what_follows_is_an_ordinary_request(protocol: str) -> None:
    flow = Recorder()
    upgrade = f"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
    after = b"GET /v2/app/tags/list HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with on_loopback(registry(flow)) as proxy:
        reply = await proxy.say(upgrade.encode() + b"HTTP2-Settings: AAA\r\n\r\n" + after)
    assert b"101" not in reply.split(b"\r\n", 1)[0]
    assert b"upgrade" not in reply.lower()
    assert [type(operation).__name__ for operation, _ in flow.requests] == ["CheckApi"]
    assert reply.count(b"HTTP/1.1 ") == 1
    assert all(asked.header("upgrade") is None for _, asked in flow.requests)


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_a_body_beside_an_upgrade_is_a_body(protocol: str) -> None:
    flow = Recorder()
    upgrade = f"Connection: Upgrade\r\nUpgrade: {protocol}\r\nContent-Length: {len(EVIL)}\r\n\r\n"
    async with on_loopback(registry(flow)) as proxy:
        await proxy.say(PUT + upgrade.encode() + EVIL)
    assert flow.bodies == [EVIL]
    assert len(flow.requests) == 1


async def test_headers_named_by_connection_go_no_further() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        await proxy.get("/v2/", "Connection: X-Secret", "X-Secret: 1", "X-Other: 2", "Trailer: Authorization")
    asked = flow.requests[0][1]
    assert asked.header("x-other") == "2"
    assert not {name for name, _ in asked.headers} & {"x-secret", "trailer", "connection"}


async def test_a_trailer_is_not_a_header() -> None:
    flow = Recorder()
    trailer = b"0\r\nAuthorization: Basic eDp5\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    async with on_loopback(registry(flow)) as proxy:
        await proxy.say(PUT + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + trailer)
    assert flow.bodies == [b"a"]
    assert flow.requests[0][1].credential.authorization is None
    assert flow.requests[0][1].header("x-forwarded-for") is None


async def test_two_credentials_are_none() -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reply = await proxy.get("/v2/", "Authorization: Basic eDp5", "Authorization: Bearer t")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert flow.requests == []


TARGETS = [
    "http://evil/v2/evil/manifests/v1",
    "//evil/v2/evil/manifests/v1",
    "/v2/evil/manifests/v1#x",
    "/v2/evil\\manifests/v1",
    "*",
    "evil:80",
    "/V2/evil/manifests/v1",
    "/v2//evil/manifests/v1",
    "/v2/./evil/manifests/v1",
    "/v2/x/../evil/manifests/v1",
    "/v2/x/%2e%2e/evil/manifests/v1",
    "/v2/evil%2fmanifests/v1",
    "/v2/evil/manifests/v1/",
    "/v2/evil;x=y/manifests/v1",
    "/v2/evil%00/manifests/v1",
    "/v2/%65vil/manifests/v1",
    "/-/../v2/evil/manifests/v1",
    "/v2/evil/manifests/v1\u00e9",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_targets_are_taken_as_they_were_sent_or_refused(target: str) -> None:
    flow = Recorder()
    async with on_loopback(registry(flow)) as proxy:
        reader, writer = await proxy.open()
        writer.write(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        reply = await everything(reader)
        writer.close()
    assert not evil(flow)
    assert reply == b"" or reply.split()[1].startswith(b"4")
