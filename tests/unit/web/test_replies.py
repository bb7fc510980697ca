"""Answers on the wire: relayed streams are whole or visibly broken, and nothing in them is ever hop-by-hop or live."""

from email.utils import parsedate_to_datetime

import pytest

from proxy.oci.faults import Corrupt, Told, Unavailable
from proxy.registry.reading.refuse import is_outage
from proxy.registry.request import Response
from proxy.web.replies import WARNING_LENGTH, inert_type, refuse, warning
from tests.worlds.listener import Recorder, Reply, body_of, head_of, in_memory, registry

BLOB = "/v2/app/blobs/sha256:" + "a" * 64


def relayed(reply: Reply) -> Recorder:
    return Recorder(Response(reply.status, reply.headers, relayed=reply))


async def test_a_stream_is_relayed_with_its_length_and_headers() -> None:
    upstream = Reply((b"abc", b"def"), headers=(("content-length", "6"), ("etag", '"x"'), ("connection", "x")))
    async with in_memory(registry(relayed(upstream))) as proxy:
        reply = await proxy.get(BLOB)
    status, headers = head_of(reply)
    assert status == "HTTP/1.1 200 OK"
    assert (headers["content-length"], headers["etag"], headers["connection"]) == ("6", '"x"', "close")
    assert body_of(reply) == b"abcdef"
    assert upstream.closed


async def test_a_head_relays_the_length_and_no_body() -> None:
    upstream = Reply((), headers=(("content-length", "123456"), ("content-type", "a/b")))
    async with in_memory(registry(relayed(upstream))) as proxy:
        reply = await proxy.get(BLOB, method="HEAD")
    assert head_of(reply)[1]["content-length"] == "123456"
    assert body_of(reply) == b""


@pytest.mark.parametrize("headers", [(("content-length", "6"),), ()])
@pytest.mark.parametrize("failure", [Unavailable("cut short"), Corrupt("x"), RuntimeError("bug")])
async def test_a_stream_that_breaks_off_never_looks_whole(
    headers: tuple[tuple[str, str], ...], failure: Exception
) -> None:
    upstream = Reply((b"abc",), headers=headers, fails=failure)
    async with in_memory(registry(relayed(upstream))) as proxy:
        reply = await proxy.get(BLOB)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert b"0\r\n\r\n" not in reply
    assert len(body_of(reply)) < len(b"3\r\nabc\r\n0\r\n\r\n")
    assert upstream.closed


async def test_a_stream_shorter_than_its_length_ends_the_connection() -> None:
    upstream = Reply((b"abc",), headers=(("content-length", "6"),))
    second = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    flow = relayed(upstream)
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.say(f"GET {BLOB} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + second)
    assert reply.endswith(b"abc")
    assert len(flow.requests) == 1


async def test_a_reply_without_a_body_stays_without() -> None:
    upstream = Reply((), status=304, headers=(("etag", '"x"'),))
    async with in_memory(registry(relayed(upstream))) as proxy:
        reply = await proxy.get(BLOB)
    assert head_of(reply)[0] == "HTTP/1.1 304 Not Modified"
    assert body_of(reply) == b""


async def test_our_own_bytes_have_their_own_length() -> None:
    flow = Recorder(Response(200, (("content-length", "999"), ("transfer-encoding", "chunked")), b"abc"))
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get("/v2/")
    assert head_of(reply)[1]["content-length"] == "3"
    assert "transfer-encoding" not in head_of(reply)[1]
    assert body_of(reply) == b"abc"


async def test_a_warning_is_one_quoted_string() -> None:
    flow = Recorder(Response(200, (), b"{}", warning='not "signed"\r\nX: y \\ \u2603' + "z" * 5000))
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get("/v2/")
    value = head_of(reply)[1]["warning"]
    assert value.startswith("299 - \"not 'signed'??X: y / ?z")
    assert value.endswith('"')
    assert value.count('"') == 2
    assert len(value) <= WARNING_LENGTH


def test_a_warning_is_never_longer_than_clients_read() -> None:
    assert len(warning("x" * 10_000)) <= WARNING_LENGTH


RUN_BY_BROWSERS = [
    "text/html",
    "text/html; charset=utf-8",
    "TEXT/HTML",
    "application/json, text/html",
    "application/xhtml+xml",
    "image/svg+xml",
    "application/vnd.x+xml",
    "application/vnd.x.XML; charset=utf-8",
    "text/xml",
    "text/javascript",
    "application/pdf",
    "multipart/x-mixed-replace",
    "",
]
KEPT = [
    "application/octet-stream",
    "application/json; charset=utf-8",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    'text/plain; charset="utf-8"',
]


@pytest.mark.parametrize("said", [*RUN_BY_BROWSERS, *KEPT])
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_what_upstream_sends_is_never_run_by_a_browser(said: str, status: int) -> None:
    upstream = Reply((b"<script>",), status=status, headers=(("content-type", said),))
    async with in_memory(registry(relayed(upstream))) as proxy:
        headers = head_of(await proxy.get(BLOB))[1]
    assert headers["content-type"] == ("application/octet-stream" if said in RUN_BY_BROWSERS else said)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_long_media_type_is_read_in_one_pass() -> None:
    assert inert_type("application/vnd.a" + ";a=a" * 50_000 + "<") == "application/octet-stream"


@pytest.mark.parametrize("boundary", ["3d6b6a416f9b5", '"a b"'.replace(" ", "_"), "=_x.y-z'()+,/:?"])
def test_several_ranges_keep_the_boundary_without_which_they_cannot_be_read(boundary: str) -> None:
    text = f"multipart/byteranges; boundary={boundary}"
    assert inert_type(text) == text


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "multipart/byteranges", "multipart/byteranges; b=x"]
)
def test_no_other_multipart_keeps_its_type(kind: str) -> None:
    assert inert_type(kind) == "application/octet-stream"


def test_an_answer_of_upstreams_that_is_too_long_is_told_as_that_and_not_as_silence() -> None:
    silent = Unavailable("upstream sent a header of more than ...", told=Told.HEADERS)
    told = refuse(silent)
    assert told.answer.status == 503
    assert b"sends headers that are longer than the 64 KiB that are read of each" in told.answer.body
    assert told.phrase is not None
    assert told.phrase.startswith("registry behind this proxy sends headers")
    assert is_outage(silent)


@pytest.mark.parametrize(
    ("method", "version", "answer", "length", "body", "connection"),
    [
        ("GET", "1.1", Response(200, (("content-length", "99"),), b"four"), "4", b"four", None),
        ("GET", "1.1", Response(200), "0", b"", None),
        ("GET", "1.0", Response(200, (), b"four"), "4", b"four", "keep-alive"),
        ("HEAD", "1.1", Response(200, (("content-length", "99"),)), "99", b"", None),
        ("HEAD", "1.1", Response(403, (), b"four"), "4", b"", None),
        ("HEAD", "1.1", Response(200), None, b"", None),
        ("GET", "1.1", Response(304, (), b""), None, b"", None),
        ("GET", "1.1", Response(204, (("content-length", "4"),), b"four"), None, b"", None),
    ],
)
async def test_an_answer_of_ours_is_framed_by_its_method_and_status(
    method: str, version: str, answer: Response, length: str | None, body: bytes, connection: str | None
) -> None:
    said = f"{method} /v2/ HTTP/{version}\r\nHost: a\r\n" + ("Connection: keep-alive\r\n" if version == "1.0" else "")
    last = "GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with in_memory(registry(Recorder(answer))) as proxy:
        reply = await proxy.say(f"{said}\r\n{last}".encode())
    fields = head_of(reply)[1]
    assert (fields.get("content-length"), fields.get("connection")) == (length, connection)
    assert body_of(reply).startswith(body + b"HTTP/1.1 ")
    assert parsedate_to_datetime(fields["date"])
