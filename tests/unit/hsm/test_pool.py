"""What a pool is before and after it has children; what it does with them is in tests/faults."""

from __future__ import annotations

import pytest

from hsm import wire
from hsm.errors import PinRefused, TokenUnavailable
from hsm.pool import Pool, Stats
from hsm.settings import TokenSettings

SETTINGS = TokenSettings(module="/no/such/module.so", label="test")


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


async def test_a_pool_that_may_have_no_session_says_who_has_them() -> None:
    pool = Pool(SETTINGS)
    pool.allowance.change(0)
    with pytest.raises(TokenUnavailable, match="other processes hold all its sessions"):
        await pool.ask(wire.Describe(0), lambda reply: reply, seconds=60)
    assert (
        pool.health == "token 'test': other processes hold all its sessions; raise its sessions, or run fewer of them"
    )
