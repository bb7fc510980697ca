"""What `countersign doctor` says of accounts that only pull: whether a policy lets them push all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.doctor.policies import check_pull_accounts
from proxy.trust.policy import Policy, PolicySet, PushRules
from tests.contract.conftest import Record
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.stored import decision, happened


def pulled(who: str, how: str = "basic") -> Event:
    return happened(EventKind.PULL_ALLOWED, decision("a1"))._replace(who=who, how=how)


async def look(journal: Record, *allow: str) -> DoctorFinding:
    policies = PolicySet("p1", (Policy(("**",), PushRules(allow=allow)),))
    return await check_pull_accounts(journal, policies, FrozenClock())


@pytest.mark.parametrize("allow", ["*", "node"])
async def test_an_account_that_only_pulls_and_may_push_is_named(journal: Record, allow: str) -> None:
    await journal.record(pulled("node"), pulled("ci"), pulled("ci")._replace(kind=EventKind.PUSH_ACCEPTED))
    found = await look(journal, allow)
    assert found.state == "warning"
    assert "node (in " in found.detail
    assert "ci (in" not in found.detail


async def test_an_account_that_is_on_no_push_list_is_well(journal: Record) -> None:
    await journal.record(pulled("node"))
    assert (await look(journal, "ci")).state == "ok"


async def test_a_name_that_nobody_proved_is_no_account(journal: Record) -> None:
    await journal.record(pulled("node", how=""), pulled("anonymous", how=""))
    assert (await look(journal, "*")).state == "ok"


async def test_what_was_long_ago_is_left_out(journal: Record) -> None:
    await journal.record(pulled("node")._replace(at=NOON - timedelta(days=31)))
    assert (await look(journal, "*")).state == "ok"
