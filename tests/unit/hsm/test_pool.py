"""What a pool is before and after it has children; what it does with them is in tests/faults."""

from __future__ import annotations

from typing import get_args

import pytest

from hsm import wire
from hsm.errors import PinRefused, TokenError, TokenUnavailable
from hsm.pool import _ERRORS, Pool, Stats, expect
from hsm.settings import TokenSettings

SETTINGS = TokenSettings(module="/no/such/module.so", label="test")


@pytest.mark.parametrize("reason", get_args(wire.Reason))
def test_every_reason_of_a_child_is_an_error_with_its_words(reason: wire.Reason) -> None:
    with pytest.raises(_ERRORS[reason], match="what the child said") as refused:
        expect(wire.Failed(reason, "what the child said"), wire.Signed)
    assert refused.value.retryable is (reason in {"token-busy", "session-lost"})


def test_another_answer_than_was_asked_for_is_none() -> None:
    signed = wire.Signed(b"raw")
    assert expect(signed, wire.Signed) is signed
    with pytest.raises(TokenError, match="answered with Opened where Signed was due"):
        expect(wire.Opened("0001"), wire.Signed)


async def test_a_pool_without_children_is_not_well_and_says_so() -> None:
    pool = Pool(SETTINGS)
    assert pool.health == "token 'test': its process is being replaced"
    assert (pool.stats, pool.pids) == (Stats(0, 0, 0, 0), ())


async def test_what_is_asked_of_a_closed_pool_fails_at_once() -> None:
    pool = Pool(SETTINGS)
    await pool.close()
    assert pool.health == "token 'test' is closed"
    with pytest.raises(TokenUnavailable, match="closed"):
        await pool.ask(wire.Describe(0), lambda reply: reply, seconds=60)
    assert pool.stats.queued == 0


async def test_a_question_that_nobody_answers_leaves_the_line_at_its_deadline() -> None:
    pool = Pool(SETTINGS)
    with pytest.raises(TokenUnavailable, match=r"did not answer within 0\.01 s"):
        await pool.ask(wire.Describe(0), lambda reply: reply, seconds=0.01)
    assert pool.stats.queued == 0


async def test_after_a_refused_pin_nothing_is_tried() -> None:
    pool = Pool(SETTINGS)
    pool._refused = "token 'test' refused the PIN"
    assert pool.health == pool._refused
    with pytest.raises(PinRefused, match="refused the PIN"):
        await pool.ask(wire.Describe(0), lambda reply: reply, seconds=60)
