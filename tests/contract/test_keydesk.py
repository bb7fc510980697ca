"""What the routes about keys answer: plans that change nothing, changes, and refusals before either."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.tokens.token_key import UnrecordedKey
from proxy.trust.keys import KeyState
from proxy.trust.policy import PullRules
from proxy.trust.schedule import Handover, KeyPlan
from tests.worlds.admin import Admin, admin
from tests.worlds.conversation import SIGN
from tests.worlds.softtokens import held

WHY = {"reason": "Tuesday"}


async def said(a: Admin, path: str, body: object = WHY, status: int = 200) -> Any:
    reply = await a.call("POST", f"/admin/v1/keys/{path}", body, socket=True)
    assert reply.status == status, reply.value
    return reply.value


def states(a: Admin) -> list[KeyState]:
    return [key.state for key in a.world.store.keybook.ring().ours]


async def test_a_whole_life() -> None:
    async with admin() as a:
        turned = await said(a, "release/rotate")
        assert turned["new"]["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
        old = turned["old"]["fingerprint"]
        assert (await said(a, f"{old[:12]}/retire"))["state"] == "retired"
        ready = await said(a, "release/prepare")
        turned = await said(a, f"{ready['fingerprint']}/activate")
        assert [turned[which]["state"] for which in ("new", "old")] == ["active", "trusted"]
        bad = await said(a, f"{ready['fingerprint']}/compromise", {**WHY, "rotate": True})
        assert bad["state"] == "compromised"
        assert states(a) == [KeyState.RETIRED, KeyState.TRUSTED, KeyState.COMPROMISED, KeyState.ACTIVE]


@pytest.mark.parametrize(
    ("verb", "lines", "words"),
    [
        ("rotate", 4, "countersign trust export release/keys.pem"),
        ("prepare", 2, "signs once it is activated"),
        ("compromise", 4, "reject all its signatures"),
    ],
)
async def test_a_plan_changes_nothing_and_is_in_the_journal_as_one(verb: str, lines: int, words: str) -> None:
    async with admin() as a:
        before = a.world.store.keybook.ring()
        of, more = ("release", {}) if verb != "compromise" else (a.active(), {"rotate": True})
        planned = await said(a, f"{of}/{verb}?dry_run=true", {**WHY, **more})
        assert planned["done"] is False
        assert len(planned["plan"]) == lines
        assert words in planned["plan"][-1]
        assert a.world.store.keybook.ring() == before
        assert [e.kind for e in a.world.store.journal.events if e.kind is not EventKind.KEY_CREATED] == [
            EventKind.ADMIN_CALLED
        ]
        assert a.world.store.journal.events[-1].detail["dry_run"] is True


@pytest.mark.parametrize("dry", ["", "?dry_run=true"])
@pytest.mark.parametrize("verb", ["retire", "activate", "rotate", "prepare"])
async def test_what_would_be_refused_is_refused_in_the_plan_too(verb: str, dry: str) -> None:
    async with admin() as a:
        of, status = ("nobody", 404) if verb in ("rotate", "prepare") else (a.active(), 409)
        refused = await said(a, f"{of}/{verb}{dry}", status=status)
        assert any(
            words in refused["detail"] for words in ("countersign keys", "configured: release", "is active already")
        )
        assert states(a) == [KeyState.ACTIVE]


async def test_the_plan_says_what_distrusting_the_active_key_stops_and_what_the_ledger_saves() -> None:
    async with admin() as a:
        (plan,) = [(await said(a, f"{a.active()}/compromise?dry_run=true"))["plan"]]
        assert "refuse the pushes that need it, until another key is active: countersign keys rotate" in plan[0]
        told = {**WHY, "since": "2026-01-01T00:00:00Z"}
        plan = (await said(a, f"{a.active()}/compromise?dry_run=true", told))["plan"]
        assert "no policy sets trust_ledger, so all is blocked" in plan[-1]
        pull = PullRules(require=SIGN.pull.require, trust_ledger=True)
        a.world.rules.set(replace(SIGN, pull=pull))
        plan = (await said(a, f"{a.active()}/compromise?dry_run=true", told))["plan"]
        assert "dates before 2026-01-01T00:00:00+00:00" in plan[-1]
        bad = await said(a, f"{a.active()}/compromise", told)
        assert bad["compromised_since"] == "2026-01-01T00:00:00Z"
        events = a.world.store.journal.events
        assert any(e.detail.get("given", {}).get("since") == "2026-01-01T00:00:00Z" for e in events)


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", 17, "2999-01-01T00:00:00Z"])
async def test_since_is_a_moment_with_a_zone_in_the_past(since: object) -> None:
    async with admin() as a:
        await said(a, f"{a.active()}/compromise", {**WHY, "since": since}, status=400)
        assert states(a) == [KeyState.ACTIVE]


async def test_keys_in_no_record_are_listed_and_a_token_that_is_away_is_said() -> None:
    async with admin() as a:
        a.strays.append(UnrecordedKey("hsm", "release-x", "cd" * 32))
        listed = (await a.call("GET", "/admin/v1/keys/unrecorded", socket=True)).value
        assert listed["items"] == [{"token": "hsm", "label": "release-x", "fingerprint": "cd" * 32}]
        a.strays.append(Unavailable("token hsm is away"))
        listed = (await a.call("GET", "/admin/v1/keys/unrecorded", socket=True)).value
        assert listed == {"items": [], "not_looked": "token hsm is away"}


async def test_an_overlap_is_planned_in_days_and_done_as_planned() -> None:
    async with admin() as a:
        wish = {**WHY, "overlap": "publish-first:7d,dual-sign:14d", "retire_after": "30d"}
        plan = (await said(a, "release/rotate?dry_run=true", wish))["plan"]
        assert "signs nothing before 2026-01-09 12:00 UTC" in plan[1]
        assert "too, until 2026-01-23 12:00 UTC" in plan[3]
        assert "until it is retired at 2026-02-08 12:00 UTC" in plan[4]
        turned = await said(a, "release/rotate", wish)
        new = turned["new"]
        assert (new["state"], new["activate_at"]) == ("prepared", "2026-01-09T12:00:00Z")
        assert turned["old"]["state"] == "active"
        which = new["fingerprint"]
        late = {**WHY, "overlap": "publish-first:7d"}
        assert "no longer applies" in (await said(a, f"{which}/activate", late, status=400))["detail"]
        plan = (await said(a, f"{which}/activate?dry_run=true"))["plan"]
        assert "too, until 2026-01-23 12:00 UTC" in plan[1], "as it was agreed"
        turned = await said(a, f"{which}/activate")
        assert turned["old"]["signs_until"] == "2026-01-23T12:00:00Z"
        assert turned["old"]["retire_after"] == "2026-02-08T12:00:00Z"
        plan = (await said(a, f"{turned['old']['fingerprint']}/retire?dry_run=true"))["plan"]
        assert "which would have signed until 2026-01-23 12:00 UTC" in plan[0]


async def test_retiring_a_key_that_signs_no_more_is_planned_in_one_line() -> None:
    async with admin() as a:
        old = (await said(a, "release/rotate"))["old"]["fingerprint"]
        (line,) = (await said(a, f"{old}/retire?dry_run=true"))["plan"]
        assert "this cannot be undone" in line


async def test_what_is_configured_holds_where_nothing_is_said() -> None:
    async with admin() as a:
        plan = KeyPlan(("soft",), Handover(dual_sign=timedelta(days=7), retire_after=timedelta(days=30)))
        a.world.ports = replace(a.world.ports, plans={"release": plan})
        turned = await said(a, "release/rotate")
        assert turned["old"]["signs_until"] == "2026-01-09T12:00:00Z"
        assert turned["old"]["retire_after"] == "2026-02-01T12:00:00Z"
        turned = await said(a, "release/rotate", {**WHY, "overlap": "none", "retire_after": "1d"})
        assert (turned["old"]["signs_until"], turned["old"]["retire_after"]) == (None, "2026-01-03T12:00:00Z")
        refused = await said(a, "release/rotate", {**WHY, "retire_after": "1d"}, status=400)
        assert "cannot be retired after 1d already" in refused["detail"]


@pytest.mark.parametrize(
    "odd",
    [{"overlap": "7d"}, {"retire_after": "soon"}, {"overlap": "both:7d"}, {"token": "other"}, {"token": 7}],
    ids=str,
)
async def test_what_is_no_overlap_span_or_token_is_refused(odd: dict[str, object]) -> None:
    async with admin() as a:
        reply = await a.call("POST", "/admin/v1/keys/release/rotate", {**WHY, **odd}, socket=True)
        assert reply.status in (400, 404), reply.value
        assert states(a) == [KeyState.ACTIVE]


async def test_the_list_says_how_old_a_key_is_not_only_its_state() -> None:
    async with admin() as a:
        a.world.store.clock.advance(86400)
        made = (await said(a, "release/prepare"))["fingerprint"]
        a.world.store.clock.advance(86400)
        await said(a, f"{made}/activate")
        listed = (await a.call("GET", "/admin/v1/keys", socket=True)).value["items"]
        ages = {key["fingerprint"]: (key["created"], key["since"]) for key in listed}
        assert ages[made] == ("2026-01-03T12:00:00Z", "2026-01-04T12:00:00Z")


@pytest.mark.parametrize(("attributes", "said_of"), [({}, ""), ({"DECRYPT": True, "UNWRAP": True}, "DECRYPT, UNWRAP")])
async def test_importing_a_key_that_does_more_than_sign_went_without_a_word(
    attributes: dict[str, bool | None], said_of: str
) -> None:
    async with admin() as a:
        a.tokens.there = [held(a.world.signer.create("release"), **attributes)]
        plan = (await said(a, "release/import?dry_run=true", {**WHY, "label": "release"}))["plan"]
        told = [step for step in plan if "may do more than sign" in step]
        assert bool(told) is bool(said_of)
        assert all(f"({said_of})" in step for step in told)
