"""Attack 39: what a name that anybody may call himself brings about at upstream: no more than what was asked for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

import pytest

from proxy.journal.event import EventKind
from proxy.oci import operation as ops
from proxy.oci.faults import Fault
from proxy.oci.reference import Tag, digest_of, parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.rights import UpstreamRights
from proxy.trust.policy import Policy, PullRules, PushRules
from tests.worlds.conversation import SIGN, World, signed_by, user, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.memory import MemoryStore
from tests.worlds.registry import Access, MemoryRegistry
from tests.worlds.rights import NoTokens

GOOD, BAD = image("good"), image("bad")
VICTIM = user("victim", "wrong")
USERS = {"alice": "secret", "scanner": "secret"}


async def scene(kind: Literal["open", "htpasswd", "token"] = "open", policy: Policy = SIGN) -> World:
    access = Access(kind, USERS, anonymous_pull=False)
    w = await world(policy, registry=MemoryRegistry(access=access))
    store: MemoryStore = w.store
    rights = UpstreamRights(w.registry, NoTokens(), store.clock, w.ports.limits)
    w.ports = replace(w.ports, rights=rights)
    await w.push(GOOD, "team/app", "good", user("alice"))
    w.put_behind(BAD, "team/app", "bad")
    w.ports.cache.present.clear()
    return w


async def asks(w: World, op: ops.Operation, by: Credential) -> list[str]:
    """Return what upstream was asked for one request."""
    before = len(w.registry.seen)
    with suppress(Fault):
        await w.say(op, by)
    return [type(seen.operation).__name__ for seen in w.registry.seen[before:]]


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("tag", ["good", "bad", "none"])
async def test_a_made_up_name_costs_no_request_more_than_none(tag: str, head: bool) -> None:
    asked = []
    for by in (Credential(), VICTIM):
        w = await scene()
        op = ops.PullManifest(parse_repository("team/app"), Tag(tag), head)
        asked.append(await asks(w, op, by))
    assert asked[0] == asked[1]
    assert "CheckApi" not in asked[1]


@pytest.mark.parametrize("head", [True, False])
async def test_made_up_repositories_are_left_alone(head: bool) -> None:
    w = await scene()
    blob = digest_of(b"layer")
    for n in range(20):
        name = parse_repository(f"no/such/repo{n}")
        for op in (ops.PullManifest(name, Tag("1"), head), ops.PullBlob(name, blob, head), ops.ListTags(name)):
            await asks(w, op, user(f"admin{n}", "guess"))
        await asks(w, ops.ListReferrers(name, blob), user(f"admin{n}", "guess"))
    begun = {s.operation.repository for s in w.registry.seen if isinstance(s.operation, ops.StartUpload)}
    assert begun == {"team/app"}
    assert set(w.registry.shelves) == {"team/app"}
    assert not w.registry.uploads


async def test_where_reviewers_are_listed_reads_ask_and_begin_no_upload() -> None:
    pull = PullRules(require=signed_by("release").require, reviewers=("scanner",))
    w = await scene(policy=Policy(("**",), SIGN.push, pull))
    started = w.registry.count(ops.StartUpload)
    op = ops.PullManifest(parse_repository("team/app"), Tag("bad"))
    assert "ListTags" in await asks(w, op, VICTIM)
    assert w.registry.count(ops.StartUpload) == started
    w.store.clock.advance(120)
    allowed = await asks(w, ops.PullManifest(op.repository, Tag("good")), VICTIM)
    assert set(allowed) == {"PullManifest"}  # nothing depends on who it is


async def test_where_a_login_is_wanted_the_name_is_on_the_record() -> None:
    w = await scene("htpasswd")
    await w.say(ops.CheckApi())  # as clients do before they log in
    await w.pull("team/app", "good", user("alice"))
    rows = [e for e in w.store.journal.events if e.kind is EventKind.PULL_ALLOWED]
    assert {(e.who, e.how) for e in rows} == {("alice", "basic")}


async def test_who_is_not_let_in_is_not_asked_about() -> None:
    pull = PullRules(require=signed_by("release").require, reviewers=("scanner",))
    w = await scene("htpasswd", Policy(("**",), PushRules(sign_with=("release",), allow=("alice",)), pull))
    await w.say(ops.CheckApi())
    for head in (True, False):
        op = ops.PullManifest(parse_repository("team/app"), Tag("bad"), head)
        assert await asks(w, op, VICTIM) == ["PullManifest"]


async def test_only_so_many_are_asked_about_at_once_whether_they_may_push() -> None:
    w = await scene()
    probes = w.ports.cache.push_probes
    while probes.take(None):
        pass
    started = w.registry.count(ops.StartUpload)
    await denied(w, lambda: w.look("team/app", "bad", VICTIM), "unsigned")
    assert w.registry.count(ops.StartUpload) == started
    for _ in range(w.ports.limits.push_probes):
        probes.give_back(None)
    with pytest.raises(Fault) as looked:
        await w.look("team/app", "bad", VICTIM)
    assert looked.value.status == 404  # an open registry: anybody may push
    assert probes.used == 0
