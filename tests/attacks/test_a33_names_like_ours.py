"""Attack 33: a registry's user is called as Countersign calls itself, and rows and claims look like its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.jobs.job import Job
from proxy.jobs.run import run_next, start
from proxy.journal.event import Event, EventKind
from proxy.keys.resign import RESIGN, resign
from proxy.oci.operation import DeleteManifest, PullManifest
from proxy.oci.reference import parse_reference, parse_tag
from proxy.registry.request import Request
from proxy.registry.signing.sign_existing import sign_existing
from proxy.trust.actor import ON_THE_HOST
from proxy.trust.evidence import LATER_BY
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import PushRules
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, user, world
from tests.worlds.images import image, index
from tests.worlds.memory import NOON
from tests.worlds.rights import TableRights

NAMES = ["countersign", "Countersign ", "operator on the host", "anonymous", "bootstrap", "counter\u200bsign"]
APP, OTHER = image("app"), image("other")
RULES = PushRules(sign_with=("release",), claims=("pusher",))


async def named(name: str) -> World:
    rights = TableRights(proven=frozenset({name, "bob"}), pushers=frozenset({name, "bob"}))
    return await world(replace(SIGN, push=RULES), rights=rights)


def rows(w: World, *kinds: EventKind) -> list[Event]:
    return [e for e in w.store.journal.events if e.kind in kinds]


def claims(w: World) -> set[str]:
    return {entry.claims.get("pusher") or entry.claims[LATER_BY] for entry in w.store.ledger.rows.values()}


@pytest.mark.parametrize("name", NAMES)
async def test_what_they_push_and_delete_is_theirs_in_rows_and_claims(name: str) -> None:
    """Before: `signature.made` by "countersign", without a word on how that is known."""
    w = await named(name)
    await w.push(index(APP), "team/app", "v1", by=user(name))
    made = rows(w, EventKind.SIGNED, EventKind.PUSH_ACCEPTED)
    assert {(e.who, e.how) for e in made} == {(f"{name} (registry)", "basic")}
    assert claims(w) == {f"{name} (registry)"}
    await w.pull("team/app", "v1", user(name))
    await w.say(DeleteManifest(REPO, parse_tag("v1")), user(name))
    ours = ("countersign", "")
    assert all((e.who, e.how) == ours or e.how for e in w.store.journal.events)
    assert {e.who for e in w.store.journal.events if (e.who, e.how) != ours} == {f"{name} (registry)"}


async def test_whoever_has_a_name_of_their_own_keeps_it_and_how_it_is_known() -> None:
    w = await named("erika")
    await w.push(APP, "team/app", "v1", by=user("bob"))
    assert {(e.who, e.how) for e in rows(w, EventKind.SIGNED)} == {("bob", "basic")}
    assert claims(w) == {"bob"}


async def test_rows_say_who_asked_also_where_no_claim_does() -> None:
    w = await world(rights=TableRights(proven=frozenset({"bob"}), pushers=frozenset({"bob"})))
    await w.push(APP, "team/app", "v1", by=user("bob"))
    assert {(e.who, e.how) for e in rows(w, EventKind.SIGNED)} == {("bob", "basic")}
    await w.push(OTHER, "team/app", "v2")
    assert {(e.who, e.how) for e in rows(w, EventKind.SIGNED)[-2:]} == {("anonymous", "")}


async def test_what_an_operator_signs_and_a_job_signs_again_is_not_the_registrys() -> None:
    w = await named("operator on the host")
    w.put_behind(APP, "team/app", "v1")
    request = Request(ANYBODY, "r")
    await sign_existing(PullManifest(REPO, parse_reference("v1")), replace(ON_THE_HOST, reason="why"), request, w.ports)
    assert {(e.who, e.how) for e in rows(w, EventKind.SIGNED)} == {("operator on the host", "socket")}
    assert claims(w) == {"operator on the host (socket)"}
    await w.push(OTHER, "team/app", "v2", by=user("operator on the host"))
    assert claims(w) == {"operator on the host (socket)", "operator on the host (registry)"}
    (old,) = w.store.keybook.ring().ours
    new = w.signer.create("release", state=KeyState.PREPARED)
    await w.store.keybook.add(new)
    await w.store.keybook.activate(fingerprint(new.spki), NOON)
    assert w.store.keybook.ring().active("release") != old
    before = len(rows(w, EventKind.SIGNED))
    await start(Job("", RESIGN, "erika", "admin-token:a", "new key", NOON, {"profile": "release"}), w.store.jobs)

    async def work(job: Job, step: object) -> object:
        return await resign(job, step, w.ports, w.store.ledger)  # type: ignore[arg-type]

    await run_next({RESIGN: work}, w.store.jobs, w.store.journal, w.store.clock)  # type: ignore[dict-item]
    assert {(e.who, e.how) for e in rows(w, EventKind.SIGNED)[before:]} == {("erika", "admin-token:a")}
    assert claims(w) == {"operator on the host (socket)", "operator on the host (registry)"}, "as it was pushed"
