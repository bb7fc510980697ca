"""PolicyBook: revisions follow one another, are never changed, and what was altered is noticed."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.oci.slices import Slice
from proxy.policies.in_force import PolicyBook
from proxy.policies.revision import PolicyRevision
from tests.contract.conftest import Record
from tests.worlds.memory import NOON

FIRST = PolicyRevision(1, "", "policies: []  # \N{SNOWMAN}\n", "p1", NOON, "erika", "admin-token:a1", "first")
SECOND = replace(FIRST, number=2, parent=FIRST.hash, text="policies: [ ]\n", policies="p2", reason="second")
EVENT = Event(NOON, EventKind.POLICY_CHANGED, "erika")


async def test_revisions_come_back_whole_newest_first(policy_book: PolicyBook) -> None:
    assert await policy_book.newest() is None
    assert await policy_book.tip() == (0, "")
    assert await policy_book.append(FIRST, "[]", EVENT)
    assert await policy_book.append(SECOND, "[]", EVENT)
    assert await policy_book.newest() == SECOND
    assert await policy_book.tip() == (2, SECOND.hash)
    assert await policy_book.find(1) == FIRST
    assert await policy_book.find(3) is None
    assert await policy_book.history(Slice(10)) == (SECOND, FIRST)
    assert await policy_book.history(Slice(1, (SECOND.number,))) == (FIRST,)


@pytest.mark.parametrize(
    "late", [FIRST, replace(SECOND, text="x"), replace(SECOND, number=4), replace(SECOND, number=3, parent=FIRST.hash)]
)
async def test_what_does_not_follow_the_newest_changes_nothing(
    policy_book: PolicyBook, journal: Record, late: PolicyRevision
) -> None:
    await policy_book.append(FIRST, "[]", EVENT)
    await policy_book.append(SECOND, "[]", EVENT)
    assert not await policy_book.append(replace(late, policies="late"), "[]", EVENT)
    assert await policy_book.history(Slice(10)) == (SECOND, FIRST)
    assert len(await journal.search(Search(kinds=(EventKind.POLICY_CHANGED,)))) == 2
    assert await journal.revision("policy", "late") is None


async def test_of_many_at_once_one_is_first(policy_book: PolicyBook) -> None:
    rivals = [replace(FIRST, who=str(n)) for n in range(10)]
    done = await asyncio.gather(*(policy_book.append(rival, "[]", EVENT) for rival in rivals))
    assert done.count(True) == 1
    assert await policy_book.history(Slice(10)) == (rivals[done.index(True)],)


async def test_the_policies_and_a_row_of_the_journal_come_with_it(policy_book: PolicyBook, journal: Record) -> None:
    await policy_book.append(FIRST, '[{"a":1}]', EVENT)
    assert await journal.revision("policy", "p1") == '[{"a":1}]'
    assert await journal.search(Search()) == (EVENT,)


@pytest.mark.parametrize("part", ["text", "policies", "who", "how", "reason", "at", "parent", "number"])
def test_all_of_a_revision_is_in_its_hash(part: str) -> None:
    others: dict[str, Any] = {"at": NOON.replace(microsecond=1), "number": 7}
    assert replace(FIRST, **{part: others.get(part, "other")}).hash != FIRST.hash
