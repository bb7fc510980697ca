from __future__ import annotations

import asyncio

import pytest

from proxy.oci.limits import Limits
from proxy.registry.budget import KEPT_BYTES, Budget, Exhausted

LIMITS = Limits(request_bytes=1000, request_lookups=10, request_cpu_s=4.0)


def test_what_is_spent_is_counted_and_ends_at_the_limit_which_is_named() -> None:
    budget = Budget()
    budget.spend(LIMITS, bytes=1000, lookups=10)
    with pytest.raises(Exhausted, match=r"more than 10 questions to upstream .* \(limits.request_lookups\)"):
        budget.spend(LIMITS, lookups=1)
    with pytest.raises(Exhausted):
        budget.check(LIMITS)


def test_a_part_has_half_of_what_is_left_and_cannot_use_up_the_whole() -> None:
    budget = Budget()
    budget.spend(LIMITS, bytes=200)
    part = budget.part(LIMITS)
    with pytest.raises(Exhausted, match="more than 400 bytes"):
        part.spend(LIMITS, bytes=401)
    assert budget.spent["bytes"] == 601
    budget.spend(LIMITS, bytes=399)
    later = budget.part(LIMITS)
    with pytest.raises(Exhausted):
        later.spend(LIMITS, bytes=1)


def test_a_part_ends_with_the_whole() -> None:
    budget = Budget()
    part = budget.part(LIMITS)
    budget.spend(LIMITS, bytes=1000)
    with pytest.raises(Exhausted):
        part.spend(LIMITS, bytes=1)


def test_only_a_large_part_that_did_not_suffice_says_something_about_the_image() -> None:
    budget = Budget()
    assert budget.part(LIMITS).is_large(LIMITS)
    budget.spend(LIMITS, bytes=900)
    assert not budget.part(LIMITS).is_large(LIMITS)


def test_processor_time_is_counted_also_of_what_raises() -> None:
    times = iter([0.0, 1.5, 2.0, 5.0])
    budget = Budget(lambda: next(times))
    assert budget.timed(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        budget.timed(lambda: 1 / 0)
    assert budget.spent["seconds"] == 4.5
    with pytest.raises(Exhausted, match="seconds of processor time"):
        budget.check(LIMITS)


def test_shared_work_goes_on_while_one_of_those_who_wait_is_there() -> None:
    first, second = Budget(), Budget()
    shared, waiting = first.shared()
    waiting += [first, second]
    part = shared.part(LIMITS)
    first.while_not(lambda: True)
    part.spend(LIMITS, lookups=1)
    second.while_not(lambda: True)
    with pytest.raises(asyncio.CancelledError):
        part.spend(LIMITS, lookups=1)


def test_what_shared_work_cost_is_charged_to_those_who_waited() -> None:
    first = Budget()
    shared, waiting = first.shared()
    waiting.append(first)
    shared.spend(LIMITS, bytes=900)
    shared.notes.append("left out")
    first.absorb(shared)
    assert first.spent["bytes"] == 900
    assert first.notes == ["left out"]


def test_a_bounded_number_of_bytes_is_kept_and_parts_share_it() -> None:
    budget = Budget()
    budget.part(LIMITS).keep("a", b"x" * KEPT_BYTES)
    budget.keep("b", b"x")
    assert budget.kept("a") is not None
    assert budget.kept("b") is None
