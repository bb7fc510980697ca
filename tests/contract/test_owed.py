"""Owed: kept open until they are settled, found in the order they were pushed, once for each name."""

from dataclasses import replace
from datetime import timedelta

from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.oci.slices import Slice
from proxy.overrides.exception_operations import UNSIGNED
from proxy.registry.ports.overrides import UnsignedPushes
from proxy.trust.exception import UnsignedPush
from tests.worlds.memory import NOON

APP = parse_repository("team/app")
FIRST = UnsignedPush(APP, digest_of(b"first"), None, "e1", "ann", NOON)
SECOND = UnsignedPush(APP, digest_of(b"second"), parse_tag("1"), "e1", "ann", NOON + timedelta(seconds=1))
LATER = NOON + timedelta(hours=1)


async def test_they_are_due_in_their_order_until_they_were_tried(owed: UnsignedPushes) -> None:
    await owed.record_unsigned(FIRST, SECOND)
    assert owed.waiting() == 2
    assert await owed.due(NOON, 10) == (FIRST, SECOND)
    assert await owed.due(NOON, 1) == (FIRST,)
    tried = replace(FIRST, tried=LATER, note="upstream answered 500")
    await owed.note(tried)
    assert await owed.due(LATER, 10) == (SECOND,)
    assert await owed.due(LATER + timedelta(seconds=1), 10) == (tried, SECOND)


async def test_what_is_settled_stays_on_the_list(owed: UnsignedPushes) -> None:
    await owed.record_unsigned(FIRST)
    await owed.record_unsigned(SECOND)
    done = replace(FIRST, settled=LATER, tried=LATER)
    await owed.note(done)
    assert owed.waiting() == 1
    assert await owed.due(LATER, 10) == (SECOND,)
    assert await owed.page(Slice(10)) == (SECOND, done)
    assert await owed.page(Slice(1, UNSIGNED.key_of(SECOND))) == (done,)
    assert await owed.page(Slice(1, UNSIGNED.key_of(done), back=True)) == (SECOND,)


async def test_pushed_again_it_is_owed_again_and_the_note_on_the_one_before_changes_nothing(
    owed: UnsignedPushes,
) -> None:
    await owed.record_unsigned(SECOND)
    again = replace(SECOND, at=LATER, exception="e2")
    await owed.record_unsigned(again)
    assert await owed.page(Slice(10)) == (again,)
    await owed.note(replace(SECOND, settled=LATER))
    assert owed.waiting() == 1
