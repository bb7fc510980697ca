"""One request: watched from beginning to end exactly once, and answered whatever happens within."""

from __future__ import annotations

import asyncio

import pytest

from proxy.oci.faults import Fault, Unavailable
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.outermost import Done, Edge
from tests.worlds.listener import QUICK, Reply, head_of, in_memory


class Watched:
    """Somebody who is told of requests."""

    def __init__(self) -> None:
        self.began_times = 0
        self.done: list[Done] = []

    def began(self) -> None:
        self.began_times += 1

    def ended(self, done: Done) -> None:
        self.done.append(done)


async def asked(outcome: Response | BaseException, watch: Watched, **more: bool) -> bytes:
    async def inner(call: Call) -> Response:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    edge = Edge(QUICK, watch=(watch,), leaving=lambda: more.get("leaving", False))
    async with in_memory(inner, edge) as proxy:
        return await proxy.say(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 15.0)


@pytest.mark.parametrize(
    ("outcome", "status", "error", "told"),
    [
        (Response(200, (("connection", "close"),), b"four"), 200, None, ""),
        (Fault("DENIED", "no", reason="unsigned"), 403, None, "no"),
        (Unavailable("upstream is away"), 503, None, "upstream is away"),
        (KeyError("canary"), 500, KeyError, ""),
    ],
)
async def test_everybody_who_watches_hears_of_the_beginning_and_of_one_end(
    outcome: Response | Exception, status: int, error: type[Exception] | None, told: str
) -> None:
    watch = Watched()
    reply = await asked(outcome, watch, leaving=True)
    (done,) = watch.done
    assert (watch.began_times, done.status, done.call.error) == (1, status, told)
    assert type(done.error) is (error or type(None))
    assert done.call.reason == ("unsigned" if status == 403 else "")
    assert done.seconds > 0
    line, headers = head_of(reply)
    assert line.split()[1] == str(status)
    assert headers["x-request-id"] == done.call.request_id
    assert done.sent == int(headers["content-length"])
    assert b"canary" not in reply


async def test_a_defect_in_the_middle_of_an_answer_ends_the_connection_and_is_told_to_whoever_watches() -> None:
    watch = Watched()
    upstream = Reply((b"half",), headers=(("content-length", "8"),), fails=KeyError("canary"))
    reply = await asked(Response(200, upstream.headers, relayed=upstream), watch)
    (done,) = watch.done
    assert isinstance(done.error, KeyError)
    assert (done.status, done.sent) == (200, 4)
    assert reply.endswith(b"\r\n\r\nhalf")
    assert upstream.closed


async def test_the_client_s_own_silence_is_what_it_is_told_of() -> None:
    watch = Watched()

    async def inner(call: Call) -> Response:
        try:
            return Response(200, (), b"".join([chunk async for chunk in call.body]))
        except Fault as silent:
            raise Unavailable("upstream gave up waiting") from silent

    async with in_memory(inner, Edge(QUICK, watch=(watch,))) as proxy:
        reply = await proxy.say(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12", 15.0)
    assert head_of(reply)[0].split()[1] == "408"
    assert head_of(reply)[1]["connection"] == "close"
    assert "no byte of the request body" in watch.done[0].call.error


async def test_who_leaves_says_so_with_the_next_answer() -> None:
    assert head_of(await asked(Response(200), Watched(), leaving=True))[1]["connection"] == "close"
    with pytest.raises(asyncio.TimeoutError):
        await kept_open()


async def kept_open() -> None:
    async def inner(call: Call) -> Response:
        return Response(200)

    async with in_memory(inner, Edge(QUICK)) as proxy:
        await proxy.say(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 0.2)
