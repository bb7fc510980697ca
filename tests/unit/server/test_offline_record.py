"""Which recorded decision answers a question; the record in a real file is in tests/contract."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from proxy.journal.event import EventKind
from proxy.server.offline_record import _by_id, _by_name
from proxy.server.store import Store
from proxy.trust.reason import Reason
from tests.worlds.memory import NOON, MemoryStore
from tests.worlds.stored import decision, digest, happened

HOSTS = ("reg.example",)


@pytest.fixture
async def store() -> Store:
    """The latest image was blocked, then signed and allowed; then another tag was blocked."""
    made = MemoryStore()
    told = [decision("first", Reason.UNSIGNED), decision("second"), decision("third", Reason.UNSIGNED, tag="old")]
    for minutes, one in enumerate(told):
        kind = EventKind.PULL_DENIED if one.reason else EventKind.PULL_ALLOWED
        await made.journal.decided(one, happened(kind, one, NOON + timedelta(minutes=minutes)))
    pushed = happened(EventKind.PUSH_ACCEPTED, told[1], NOON + timedelta(hours=1))
    await made.journal.record(pushed._replace(decision_id=""))
    return cast("Store", made)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("prod/app", "second"),
        ("prod/app:latest", "second"),
        ("reg.example/prod/app:old", "third"),
        (f"prod/app@{digest('image')}", "third"),
        ("prod/app:never", None),
        ("prod/other", None),
        ("NOT A NAME", None),
    ],
)
async def test_a_name_is_answered_by_its_newest_decision(store: Store, question: str, found: str | None) -> None:
    answer = await _by_name(store, question, HOSTS)
    assert (answer.id if answer else None) == found


async def test_an_id_is_one_word(store: Store) -> None:
    known = await _by_id(store, "first")
    assert known is not None
    assert known.reason is Reason.UNSIGNED
    assert await _by_id(store, "prod/app") is None
    assert await _by_id(store, "app:latest") is None
