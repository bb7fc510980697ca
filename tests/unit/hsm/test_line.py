import asyncio

import pytest

from hsm import wire
from hsm.errors import QueueFull, TokenError, TokenUnavailable
from hsm.line import PendingRequest, RequestQueue


def job(until: float = 100.0) -> PendingRequest[wire.Reply]:
    answer: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
    return PendingRequest(wire.Describe(0), lambda reply: reply, True, until, answer)


def never() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def test_first_come_first_served() -> None:
    line, jobs = RequestQueue(3, "token 'a'"), [job(), job(), job()]
    for each in jobs:
        line.join(each)
    assert [await line.next(never()) for _ in range(3)] == jobs
    assert len(line) == 0


async def test_an_idle_child_gets_the_job_at_once() -> None:
    line, work = RequestQueue(1, "token 'a'"), job()
    waiting = asyncio.create_task(line.next(never()))
    await asyncio.sleep(0)
    line.join(work)
    assert len(line) == 0
    assert await waiting is work


async def test_a_full_line_refuses_and_says_how_full() -> None:
    line = RequestQueue(2, "token 'a'")
    line.join(job())
    line.join(job())
    with pytest.raises(QueueFull, match="token 'a': 2 requests wait") as caught:
        line.join(job())
    assert caught.value.retryable


async def test_who_leaves_makes_room_and_is_not_served() -> None:
    line, gone, given_up, work = RequestQueue(2, "token 'a'"), job(), job(), job()
    line.join(gone)
    line.join(given_up)
    line.leave(gone)
    line.leave(gone)
    given_up.answer.cancel()
    line.join(work)
    assert await line.next(never()) is work


async def test_a_child_that_dies_while_idle_gets_nothing() -> None:
    line, exited = RequestQueue(1, "token 'a'"), never()
    waiting = asyncio.create_task(line.next(exited))
    await asyncio.sleep(0)
    exited.set_result(None)
    assert await waiting is None
    line.join(job())
    assert len(line) == 1, "the job went to a dead child"
    assert await line.next(exited) is None


async def test_a_child_that_is_cancelled_while_idle_gets_nothing() -> None:
    line = RequestQueue(1, "token 'a'")
    waiting = asyncio.create_task(line.next(never()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    line.join(job())
    assert len(line) == 1


async def test_clearing_fails_everybody_who_waits() -> None:
    line, work = RequestQueue(1, "token 'a'"), job()
    line.join(work)
    line.clear(TokenUnavailable("closed"))
    with pytest.raises(TokenUnavailable, match="closed"):
        await work.answer


async def test_a_request_carries_the_seconds_it_has_left() -> None:
    assert job(until=10.0).current(4.0).seconds == 6.0
    assert job(until=10.0).current(9.99).seconds == 1.0, "a healthy child would be killed for the line's delay"


async def test_an_answer_that_cannot_be_accepted_is_raised_to_the_worker() -> None:
    def refuse(reply: wire.Reply) -> wire.Reply:
        raise TokenError("wrong")

    work = job()
    work.accept = refuse
    with pytest.raises(TokenError, match="wrong"):
        work.work(wire.Opened(""))
    assert not work.abandoned
    work.answer.cancel()
    job().fail(TokenError("late"))  # nobody waits: nothing to see, and no warning either
