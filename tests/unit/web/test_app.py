"""The public listener hands a parsed operation and everything around it to the flow, exactly as it was sent."""

import json

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi, ListTags, Operation, PullManifest, PushManifest
from proxy.oci.reference import parse_repository
from proxy.registry.request import Response
from proxy.web.app import page_word
from tests.worlds.listener import QUICK, Recorder, body_of, head_of, in_memory, registry


async def test_an_operation_reaches_the_flow_with_credentials_and_repeated_headers() -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get(
            "/v2/team/app/manifests/v1", "Accept: a/b", "Authorization: Basic eDp5", "ACCEPT: c/d", "TE: trailers"
        )
    operation, asked = flow.requests[0]
    assert isinstance(operation, PullManifest)
    assert (operation.repository, operation.reference, operation.head) == ("team/app", "v1", False)
    assert asked.credential.authorization == "Basic eDp5"
    assert [value for name, value in asked.headers if name == "accept"] == ["a/b", "c/d"]
    assert asked.header("authorization") is None
    assert asked.header("te") is None
    assert asked.body is None
    assert asked.address == "192.0.2.7"
    status, headers = head_of(reply)
    assert status == "HTTP/1.1 200 OK"
    assert headers["docker-distribution-api-version"] == "registry/2.0"
    assert headers["x-request-id"] == asked.request_id
    assert "aiohttp" not in headers["server"]


async def test_two_requests_on_one_connection_have_ids_of_their_own() -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        one = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"
        await proxy.say(one + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert [type(operation) for operation, _ in flow.requests] == [CheckApi, CheckApi]
    assert len({asked.request_id for _, asked in flow.requests}) == 2


async def test_a_body_arrives_whole_and_with_its_length() -> None:
    flow = Recorder()
    body = b"{" + b" " * 300_000 + b"}"
    async with in_memory(registry(flow)) as proxy:
        await proxy.get(
            "/v2/app/manifests/v1", "Content-Type: a/b", f"Content-Length: {len(body)}", method="PUT", body=body
        )
    assert flow.bodies == [body]
    assert isinstance(flow.requests[0][0], PushManifest)
    assert flow.requests[0][1].length == len(body)


async def test_a_chunked_body_has_no_length() -> None:
    flow = Recorder()
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with in_memory(registry(flow)) as proxy:
        await proxy.get("/v2/app/manifests/v1", "Transfer-Encoding: chunked", method="PUT", body=body)
    assert flow.bodies == [b"abcde"]
    assert flow.requests[0][1].length is None


async def test_a_fault_is_an_oci_error_with_its_reason_phrase() -> None:
    async def deny(operation: Operation, asked: object) -> Response:
        raise Fault(
            "DENIED", "blocked by x", detail="more", phrase="blocked by x: unsigned\r\nEvil: 1", headers={"A": "b"}
        )

    async with in_memory(registry(deny)) as proxy:
        reply = await proxy.get("/v2/app/manifests/v1")
        bare = await proxy.get("/v2/app/manifests/v1", method="HEAD")
    status, headers = head_of(reply)
    assert status == "HTTP/1.1 403 blocked by x: unsigned??Evil: 1"
    assert "evil" not in headers
    assert headers["a"] == "b"
    assert json.loads(body_of(reply)) == {"errors": [{"code": "DENIED", "message": "blocked by x", "detail": "more"}]}
    assert head_of(bare)[0] == status
    assert head_of(bare)[1]["content-length"] == headers["content-length"]
    assert body_of(bare) == b""


@pytest.mark.parametrize(
    ("failure", "status"),
    [(Unavailable("x\x1b[31m", retry_after=7), 503), (Corrupt("x"), 502), (RuntimeError("secret"), 500)],
)
async def test_other_failures_are_oci_errors_too(failure: Exception, status: int) -> None:
    async def fail(operation: Operation, asked: object) -> Response:
        raise failure

    async with in_memory(registry(fail)) as proxy:
        reply = await proxy.get("/v2/")
    line, headers = head_of(reply)
    assert line.split()[1] == str(status)
    error = json.loads(body_of(reply))["errors"][0]
    assert "\x1b" not in error["message"]
    assert b"secret" not in reply
    assert headers.get("retry-after") == ("7" if status == 503 else None)
    if status == 500:
        assert headers["x-request-id"] in error["message"]


async def test_what_is_neither_registry_nor_page_is_not_found() -> None:
    async with in_memory(registry(Recorder())) as proxy:
        assert (await proxy.get("/elsewhere")).startswith(b"HTTP/1.1 404 ")
        assert (await proxy.get("/-/nothing")).startswith(b"HTTP/1.1 404 ")


def test_pages_are_told_apart_by_their_first_word() -> None:
    assert [page_word(p) for p in ("/", "/-/", "/-/d/x", "/-/help", "/v2/", "/x")] == ["", "", "d", "help", None, None]


async def test_a_body_is_asked_for_only_when_it_is_read() -> None:
    unread = Recorder(read=False)
    wants = ("Expect: 100-continue", "Content-Length: 5")
    async with in_memory(registry(unread)) as proxy:
        reply = await proxy.say(
            b"PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 15.0
        )
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert head_of(reply)[1]["connection"] == "close"
    read = Recorder()
    async with in_memory(registry(read)) as proxy:
        reply = await proxy.get("/v2/app/manifests/v1", *wants, method="PUT", body=b"12345")
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert read.bodies == [b"12345"]


async def test_a_body_that_falls_silent_ends_the_request() -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.say(b"PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12", 15.0)
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"0.3 seconds" in reply
    assert flow.bodies == []
    assert QUICK.body_idle_s == 0.3


@pytest.mark.parametrize(
    "target", ["http://proxy.test/v2/app/tags/list?n=1", "HTTPS://PROXY.TEST/v2/app/tags/list?n=1"]
)
async def test_a_whole_url_of_the_same_host_is_a_path(target: str) -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get(target)
    assert head_of(reply)[0] == "HTTP/1.1 200 OK"
    assert [operation for operation, _ in flow.requests] == [ListTags(parse_repository("app"), 1)]


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/v2/",
        "http://proxy.test:80/v2/",
        "http://proxy.test",
        "http://user@proxy.test/v2/",
        "http://proxy.test@evil.test/v2/",
        "ftp://proxy.test/v2/",
        "http:///v2/",
        "http://proxy.test\\v2/",
        "http://proxy.testhttp://proxy.test/v2/",
    ],
)
async def test_a_whole_url_of_anybody_else_is_refused(target: str) -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get(target)
    assert head_of(reply)[0].split()[1].startswith("4")
    assert flow.requests == []


async def test_two_hosts_are_none_for_a_whole_url_either() -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as proxy:
        reply = await proxy.get("http://proxy.test/v2/", "Host: evil.test")
    assert head_of(reply)[0].split()[1] == "400"
    assert flow.requests == []
