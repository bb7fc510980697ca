from __future__ import annotations

import asyncio
from functools import partial

import pytest

from proxy.journal.event import EventKind
from proxy.oci.operation import DeleteBlob, DeleteManifest, PullManifest
from proxy.oci.reference import digest_of, fallback_tag, parse_reference, parse_tag, signature_tag
from proxy.trust.ledger import Stage
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.named import names
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen
from tests.worlds.rights import TableRights

APP = image("app")
SIG = signature_tag(APP.digest)


async def test_a_deleted_image_is_forgotten_and_on_the_record() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await w.pull("team/app", "v1")
    assert (await w.say(DeleteManifest(REPO, APP.digest))).status == 202
    assert (await w.pull("team/app", "v1")).status == 404
    assert (await w.pull("team/app", APP.digest)).status == 404
    assert await w.store.facts.manifest(REPO, APP.digest) is None
    assert w.store.journal.kinds()[-2:] == [EventKind.MANIFEST_DELETED, EventKind.SIGNATURE_REMOVED]


@pytest.mark.parametrize("policy", [Policy(("**",), PushRules(allow=("ci",))), Policy(("other/**",), PushRules())])
async def test_who_may_not_push_may_not_delete(policy: Policy) -> None:
    w = await world(policy, rights=TableRights(frozenset({"ci", "bob"})))
    w.put_behind(APP, "team/app", "v1")
    blob = w.registry.put_blob("team/app", b"x")
    reason = "push_not_allowed" if "ci" in policy.push.allow else "no_policy"
    for op in (DeleteManifest(REPO, APP.digest), DeleteManifest(REPO, parse_tag("v1")), DeleteBlob(REPO, blob)):
        await denied(w, partial(w.say, op, user("bob")), reason)
        await denied(w, partial(w.say, op), reason)
    assert w.tag("team/app", "v1") == APP.digest
    if reason == "push_not_allowed":
        assert (await w.say(DeleteBlob(REPO, blob), user("ci"))).status == 202
        assert (await w.say(DeleteManifest(REPO, APP.digest), user("ci"))).status == 202


async def test_who_has_not_said_who_they_are_is_first_asked_to() -> None:
    registry = MemoryRegistry(access=Access("htpasswd", users={"ci": "secret"}))
    w = await world(Policy(("**",), PushRules(allow=("ci",))), registry=registry, rights=TableRights(frozenset({"ci"})))
    w.put_behind(APP, "team/app", "v1")
    for op in (DeleteManifest(REPO, APP.digest), DeleteBlob(REPO, digest_of(b"x"))):
        answer = await w.say(op)
        assert answer.status == 401
        assert "www-authenticate" in dict(answer.headers)
    assert w.registry.count(DeleteManifest, DeleteBlob) == 0
    assert w.store.journal.kinds() == []


async def test_a_token_to_delete_alone_could_not_take_signatures_along_so_more_is_asked_for() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "v1")
    challenge = 'Bearer realm="https://a.example/token",service="r",scope="repository:team/app:delete",error="x"'
    said = Said(401, (("www-authenticate", challenge),), b"{}")
    w.registry.hooks.append(lambda seen: said if isinstance(seen.operation, DeleteManifest) else None)
    answer = await w.say(DeleteManifest(REPO, APP.digest))
    assert dict(answer.headers)["www-authenticate"] == challenge.replace(":delete", ":pull,push,delete")


async def test_an_immutable_tag_stays_and_so_does_what_it_points_at() -> None:
    w = await world(Policy(("**",), PushRules(sign_with=("release",), immutable_tags=("v*",))))
    await w.push(APP, "team/app", "v1")
    await w.push(APP, "team/app", "latest")
    await denied(w, lambda: w.say(DeleteManifest(REPO, parse_tag("v1"))), "tag_immutable")
    await denied(w, lambda: w.say(DeleteManifest(REPO, APP.digest)), "tag_immutable")
    assert w.tag("team/app", "v1") == APP.digest
    assert (await w.say(DeleteManifest(REPO, parse_tag("latest")))).status == 202
    other = image("other")
    await w.push(other, "team/app", "latest")
    assert (await w.say(DeleteManifest(REPO, other.digest))).status == 202


async def test_a_digest_whose_immutable_tag_cannot_be_looked_at_stays() -> None:
    w = await world(Policy(("**",), PushRules(sign_with=("release",), immutable_tags=("v*",))))
    await w.push(APP, "team/app", "v1")
    w.registry.fail(PullManifest, 503)
    await denied(w, lambda: w.say(DeleteManifest(REPO, APP.digest)), "tag_immutable", times=1)


async def test_a_deleted_tag_leaves_the_image() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await w.say(DeleteManifest(REPO, parse_reference("v1")))
    assert (await w.pull("team/app", "v1")).status == 404
    assert (await w.pull("team/app", APP.digest)).body == APP.body


async def test_an_old_list_of_signatures_may_go_without_taking_any_with_it() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    old = w.registry.shelf("team/app").tags[SIG]
    await w.push(APP, "team/app", "v2")
    await w.say(DeleteManifest(REPO, parse_reference(old)))
    assert len(await w.store.ledger.entries(REPO, APP.digest)) == 4
    assert EventKind.SIGNATURE_REMOVED not in w.store.journal.kinds()


@pytest.mark.parametrize("referrers", [True, False])
async def test_a_deleted_bundle_is_no_longer_listed(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    shelf = w.registry.shelf("team/app")
    (bundle,) = [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]
    await w.say(DeleteManifest(REPO, parse_reference(bundle)))
    assert {e.key.format for e in await w.store.ledger.entries(REPO, APP.digest)} == {"cosign-simple"}
    if not referrers:
        assert bundle.encode() not in shelf.manifests[shelf.tags[fallback_tag(APP.digest)]][1]


async def test_what_was_removed_and_is_pushed_again_comes_back_as_the_same_bytes() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    before = w.registry.shelf("team/app").tags[SIG]
    await w.say(DeleteManifest(REPO, SIG))
    await w.push(APP, "team/app", "v1")
    assert w.registry.shelf("team/app").tags[SIG] == before
    assert len(w.signer.made) == 3


async def test_a_refused_deletion_changes_nothing() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.fail(DeleteManifest, 403)
    assert (await w.say(DeleteManifest(REPO, APP.digest))).status == 403
    assert (await w.pull("team/app", "v1")).status == 200


async def test_a_deleted_blob_is_on_the_record() -> None:
    w = await world()
    blob = w.registry.put_blob("team/app", b"x")
    assert (await w.say(DeleteBlob(REPO, blob))).status == 202
    assert w.store.journal.kinds() == [EventKind.BLOB_DELETED]
    assert (await w.say(DeleteBlob(REPO, digest_of(b"y")))).status == 404


async def test_a_deleted_signature_is_gone_for_pulls_at_once() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    await w.pull("team/app", "v1")
    shelf = w.registry.shelf("team/app")
    (bundle,) = [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]
    await w.say(DeleteManifest(REPO, SIG))
    await w.say(DeleteManifest(REPO, parse_reference(bundle)))
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")


async def test_a_list_deleted_while_it_is_written_leaves_what_the_ledger_says_true() -> None:
    """Whoever comes first: the ledger says attached of what is upstream, and removed of what went."""
    for turns in range(1, 40):
        w = await world()
        await w.push(APP, "team/app", "v1")
        request = 0

        async def slowly(_seen: Seen) -> None:
            nonlocal request
            request += 1
            await asyncio.sleep(0)

        w.registry.pause = slowly

        async def later(w: World = w, turns: int = turns) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await w.say(DeleteManifest(REPO, SIG))

        await asyncio.gather(w.push(APP, "team/app", "v2"), later())
        await w.ports.cache.settle()
        w.registry.pause = None
        entries = [e for e in w.store.ledger.rows.values() if e.key.format == "cosign-simple"]
        attached = {e.key.bound.rpartition("/")[2].partition(":")[2] for e in entries if e.stage is Stage.ATTACHED}
        assert attached - {""} == set(names(w, APP.digest)), turns
        assert {e.stage for e in entries} <= {Stage.ATTACHED, Stage.REMOVED}
