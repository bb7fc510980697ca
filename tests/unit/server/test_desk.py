"""What commands on this host are told, asked of a whole proxy in memory."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import cast

import pytest

from proxy.journal.event import EventKind
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.duration import since_when
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import PullManifest
from proxy.registry.request import Response
from proxy.server.desk import Desk
from proxy.server.store import Store
from proxy.trust.policy import Policy
from tests.worlds.conversation import World, signed_by, user, world
from tests.worlds.images import image
from tests.worlds.memory import NOON

WRONG = Problem(ProblemId.JOURNAL, "nothing much", "s", "n")


def desk(w: World) -> Desk:
    return Desk(
        lambda: w.ports,
        cast("Store", w.store),
        lambda: [WRONG],
        lambda: {"policies_from": "file"},
    )


async def test_an_image_is_verified_by_any_of_our_names_and_as_nobody_in_particular() -> None:
    w = await world()
    await w.push(image(), "team/app", "v1", user("alice"))
    asked = desk(w)
    for name in ("team/app:v1", "proxy.example/team/app:v1", f"team/app@{image().digest}"):
        shown = await asked.verify(name)
        assert (shown["outcome"], shown["digest"]) == ("passed", image().digest)
    with pytest.raises(Fault):
        await asked.verify("elsewhere.example/team/app:v1")


async def test_why_knows_a_decision_by_its_id_and_anything_else_is_a_name() -> None:
    w = await world()
    w.plant(image(), "team/app", "v1")
    assert await w.blocked("team/app", "v1") == "unsigned"
    (denied,) = [e for e in w.store.journal.events if e.kind is EventKind.PULL_DENIED]
    await w.push(image(), "team/app", "v1")
    recorded = await desk(w).why(denied.decision_id)
    assert (recorded["id"], recorded["outcome"]) == (denied.decision_id, "failed")
    assert "unsigned" in recorded["text"] or "no signature" in recorded["text"]
    assert (await desk(w).why("team/app:v1"))["outcome"] == "passed"
    with pytest.raises(Fault, match="not in the registry"):
        await desk(w).why("nothing")


@pytest.mark.parametrize(
    ("status", "raised", "said"),
    [
        (404, Fault, "team/app:v1 is not in the registry"),
        (401, Fault, r"upstreams\[0\].credentials"),
        (403, Fault, r"upstreams\[0\].credentials"),
    ],
)
async def test_upstream_s_refusals_say_what_to_do(status: int, raised: type[Exception], said: str) -> None:
    w = await world()
    w.registry.fail(PullManifest, status, times=5)
    with pytest.raises(raised, match=said):
        await desk(w).verify("team/app:v1")


async def test_an_upstream_in_trouble_is_no_missing_image() -> None:
    w = await world()
    w.registry.fail(PullManifest, 500, times=5)
    with pytest.raises(Unavailable):
        await desk(w).verify("team/app:v1")


async def test_signing_says_what_was_signed_and_who_asked_is_recorded() -> None:
    w = await world()
    w.plant(image(), "team/app", "v1")
    done = await desk(w).sign("team/app:v1", "reviewed", "operator on the host", "socket")
    assert done["digest"] == image().digest
    assert {s["digest"] for s in done["signatures"]} == {image().digest}
    assert {s["bound"] for s in done["signatures"]} >= {"proxy.example/team/app:v1"}
    (row,) = [e for e in w.store.journal.events if e.kind is EventKind.COUNTERSIGNED]
    assert (row.who, row.detail["reason"]) == ("operator on the host", "reviewed")
    assert isinstance(await w.pull("team/app", "v1"), Response)


async def test_what_enforcing_would_block_is_reported_from_that_moment_on() -> None:
    w = await world(Policy(("**",), pull=signed_by("release"), contact="#help"))
    rules = signed_by("release")
    w.rules.set(Policy(("**",), pull=type(rules)(mode="warn", require=rules.require)))
    w.plant(image(), "team/app", "v1")
    assert (await w.pull("team/app", "v1")).status == 200
    shown = await desk(w).would_block("1h")
    assert shown["since"] == (NOON - timedelta(hours=1)).isoformat()
    assert [(i["repository"], i["reference"], i["pulls"]) for i in shown["images"]] == [("team/app", "v1", 1)]
    w.store.clock.advance(7200)
    assert (await desk(w).would_block("1h"))["images"] == []


async def test_status_has_the_revisions_that_decisions_are_made_under() -> None:
    w = await world()
    w.plant(image(), "team/app", "v1")
    asked = desk(w)
    w.store.clock.advance(60)
    told, shown = await asked.status(), await asked.verify("team/app:v1")
    assert (told["policy_revision"], told["key_revision"]) == (shown["policy_revision"], shown["key_revision"])
    assert (told["started"], told["pid"]) == (NOON.isoformat(), os.getpid())
    assert [(k["profile"], k["state"]) for k in told["keys"]] == [("release", "active")]
    assert [(p["id"], p["what"]) for p in told["problems"]] == [("journal", "nothing much")]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("2026-01-01", timedelta(days=1, hours=12)),
        ("2026-01-02T11:00:00+01:00", timedelta(hours=2)),
    ],
)
def test_a_span_or_a_moment(text: str, before: timedelta) -> None:
    assert since_when(text, NOON) == NOON - before


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-7d", "7y", "7 d", "99999999d", "999999w", "yesterday", "\u0667d", "\u00b2d"]
)
def test_what_is_neither_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Fault, match="write 7d, 12h or 2027-01-31") as refused:
        since_when(text, NOON)
    assert refused.value.status == 400
