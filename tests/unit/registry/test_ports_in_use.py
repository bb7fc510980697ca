"""A journal row is made in one place: who, about what, under which revisions, and no longer than it should be."""

from __future__ import annotations

from proxy.journal.event import EventKind
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import TEXT
from proxy.registry.request import Request
from proxy.trust.actor import Actor
from proxy.trust.question import Named
from tests.worlds.conversation import world
from tests.worlds.images import image

APP = image("app")


async def test_a_row_tells_who_asked_what_it_is_about_and_what_was_in_force() -> None:
    w = await world()
    about, detail = ("team/app", "1", APP.digest), {"why": "x" * 2 * TEXT, "bytes": 7}
    row = w.ports.event(
        EventKind.SIGNED, Actor("ann", "admin-token:1", "r", "req-1"), about=about, reason="b", detail=detail
    )
    assert (row.at, row.kind, row.who, row.how) == (w.ports.clock.now(), EventKind.SIGNED, "ann", "admin-token:1")
    assert (row.repository, row.reference, row.digest, row.reason, row.request_id) == (*about, "b", "req-1")
    assert row.policy_revision == w.rules.current().revision
    assert row.key_revision == w.ports.keybook.ring().revision
    assert row.detail == {"why": "x" * TEXT, "bytes": 7}


async def test_a_row_on_a_decision_has_its_question_and_its_revisions() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "1")
    await w.blocked("team/app", "1")
    decision = list(w.store.journal.decisions.values())[-1]
    w.rules.set()
    row = w.ports.event(EventKind.PULL_DENIED, Named("bob", "basic"), Request(Credential(), "req-2"), decision=decision)
    assert (row.who, row.how, row.request_id, row.decision_id) == ("bob", "basic", "req-2", decision.id)
    assert (row.repository, row.reference, row.digest) == ("team/app", "1", APP.digest)
    assert (row.reason, row.policy_revision) == ("unsigned", decision.policy_revision)


async def test_what_nobody_asked_for_is_by_countersign_itself() -> None:
    w = await world()
    row = w.ports.event(EventKind.UPSTREAM_UNAVAILABLE)
    assert (row.who, row.how, row.request_id, row.repository, row.digest) == ("countersign", "", "", "", "")
