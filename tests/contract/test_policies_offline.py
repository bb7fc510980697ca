"""Policies put in force while no server runs: checked as by the API, and doctor says what a start would."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy import config
from proxy.cli.exits import Exit
from proxy.cli.policy_offline import put_in_store
from proxy.config import Settings
from proxy.journal.event import EventKind
from proxy.journal.port import Search
from proxy.oci.faults import ConfigError, Fault
from proxy.policies.revision import PolicyRevision
from proxy.server.doctor.policies import check_policies
from proxy.server.store import open_store
from proxy.store.clock import SystemClock
from tests.unit.config.test_settings import SIGNING

TEXT = SIGNING[SIGNING.index("policies:") :]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return config.parse(f"{SIGNING}policies_from: api\n".encode(), tmp_path / "countersign.yaml")


async def test_a_revision_is_added_and_is_in_the_journal(settings: Settings) -> None:
    first = await put_in_store(settings, TEXT, None, "begin")
    assert isinstance(first, PolicyRevision)
    assert (first.number, first.how) == (1, "offline")
    await put_in_store(settings, "policies: []", None, "closed")
    third = await put_in_store(settings, None, 1, "back")
    assert isinstance(third, PolicyRevision)
    assert (third.number, third.text) == (3, TEXT)
    store = await open_store(settings.store.url, SystemClock())
    events = await store.journal.search(Search(kinds=(EventKind.POLICY_CHANGED,)))
    assert [e.detail["reason"] for e in events] == ["back", "closed", "begin"]
    assert await store.policy_book.newest() == third
    with pytest.raises(ConfigError, match="countersign"):  # a server, or another command, has the store
        await put_in_store(settings, TEXT, None, "r")
    await store.close()


async def test_a_text_that_was_the_newest_already_became_a_revision_and_nobody_was_asked(settings: Settings) -> None:
    first = await put_in_store(settings, TEXT, None, "begin")
    assert await put_in_store(settings, TEXT, None, "again") == first
    plans = []

    def left(plan: Sequence[str]) -> Exit:
        plans.append(list(plan))
        return Exit.NO

    assert await put_in_store(settings, "policies: []", None, "closed", left) is Exit.NO
    assert "+policies: []" in plans[0]
    assert await put_in_store(settings, TEXT, None, "as it is", left) == first, "nothing was put in force"
    assert len(plans) == 1


@pytest.mark.parametrize(
    ("text", "number", "reason", "said"),
    [
        ("policies: [{}]", None, "r", "is missing"),
        (None, 7, "r", "no revision 7"),
    ],
)
async def test_refusals(settings: Settings, text: str | None, number: int | None, reason: str, said: str) -> None:
    with pytest.raises((ConfigError, Fault), match=said):
        await put_in_store(settings, text, number, reason)


async def test_policies_of_the_file_are_changed_there(tmp_path: Path) -> None:
    settings = config.parse(SIGNING.encode(), tmp_path / "countersign.yaml")
    with pytest.raises(ConfigError, match="policies are pinned to"):
        await put_in_store(settings, TEXT, None, "r")
    assert (await check_policies(settings)).detail.startswith("from ")


async def test_doctor_says_what_a_start_would(settings: Settings, tmp_path: Path) -> None:
    assert (await check_policies(settings)).state == "skipped"
    await put_in_store(settings, TEXT, None, "begin")
    found = await check_policies(settings)
    assert found.state == "ok"
    assert "revision 1 of the policies" in found.detail
    with sqlite3.connect(tmp_path / "countersign.db") as store:
        store.execute("UPDATE policy_revisions SET body = 'policies: []'")
    store.close()
    found = await check_policies(settings)
    assert found.state == "wrong"
    assert "was altered in the store" in found.detail
    assert "--offline" in found.fix
