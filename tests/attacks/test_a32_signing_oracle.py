"""Attack 32: making the proxy sign what the caller may not push."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Fault
from proxy.oci.operation import FinishUpload, PullManifest, PushManifest, StartUpload
from proxy.oci.reference import Tag, parse_reference, parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.trust.policy import Policy, PushRules
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, user, world
from tests.worlds.denials import denied
from tests.worlds.images import Image, descriptor, dump, image, index
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, error
from tests.worlds.rights import TableRights

APP, THEIRS = image("app"), image("theirs")
READER, PUSHER = user("reader"), user("pusher")


async def guarded() -> World:
    users = {"reader": "secret", "pusher": "secret"}
    w = await world(registry=MemoryRegistry(access=Access("htpasswd", users=users, pushers=frozenset({"pusher"}))))
    w.put_behind(APP, "team/app", "unsigned")
    return w


async def put(w: World, one: Image, reference: str, by: Credential, repo: str = "team/app") -> int:
    op = PushManifest(parse_repository(repo), parse_reference(reference))
    return (await w.say(op, by, one.body, content_type=one.media_type)).status


@pytest.mark.parametrize("by", [READER, ANYBODY, user("pusher", "wrong"), Credential("Bearer made-up")])
@pytest.mark.parametrize("reference", ["v1", "unsigned", APP.digest])
async def test_who_may_not_push_gets_nothing_signed(by: Credential, reference: str) -> None:
    w = await guarded()
    assert await put(w, APP, reference, by) in {401, 403}
    assert not w.signer.made
    assert not w.store.ledger.rows
    assert w.registry.count(StartUpload, FinishUpload) == 0


async def test_who_may_push_gets_what_they_push_signed_and_in_that_repository_only() -> None:
    w = await guarded()
    w.put_behind(APP, "other/app", "unsigned")
    assert await put(w, APP, APP.digest, PUSHER) == 201
    assert {e.key.repository for e in w.store.ledger.rows.values()} == {"team/app"}
    assert {e.key.bound for e in w.store.ledger.rows.values()} == {"proxy.example/team/app"}
    with pytest.raises(Fault):
        await w.pull("other/app", "unsigned", PUSHER)


async def test_an_index_that_names_children_of_others_signs_none_of_them() -> None:
    w = await world()
    w.put_behind(THEIRS, "team/app", "theirs")
    both = index(THEIRS)
    assert await put(w, both, "v1", PUSHER) == 201
    assert {e.key.digest for e in w.store.ledger.rows.values()} == {both.digest}


async def test_an_index_that_names_what_is_not_there_is_not_signed() -> None:
    w = await world()
    assert await put(w, index(THEIRS), "v1", PUSHER) == 404
    assert not w.signer.made


async def test_children_are_attached_as_what_they_are_not_as_an_index_claims() -> None:
    """A wrong size or type in an index would otherwise make new referrers with every push of it."""
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    before = set(w.registry.shelf("team/app").manifests)
    lying = {**descriptor("application/vnd.docker.distribution.manifest.v2+json", APP.body), "size": 1}
    wrapped = Image(
        dump({"schemaVersion": 2, "mediaType": index().media_type, "manifests": [lying]}), index().media_type
    )
    nested = index(wrapped)
    for one, tag in ((wrapped, wrapped.digest), (nested, "nested")):
        assert await put(w, one, tag, PUSHER) == 201
    added = [w.registry.shelf("team/app").manifests[d][1] for d in set(w.registry.shelf("team/app").manifests) - before]
    about_app = [body for body in added if b'"subject"' in body and APP.digest.encode() in body]
    assert not about_app


async def test_nothing_is_signed_that_upstream_refuses() -> None:
    w = await world()
    w.registry.fail(PushManifest, 403, times=99)
    assert await put(w, APP, "v1", PUSHER) == 403
    assert not w.signer.made


async def test_several_tags_of_one_push_are_judged_each() -> None:
    policy = Policy(("**",), PushRules(("release",), immutable_tags=("v*",)), SIGN.pull)
    w = await world(policy)
    await w.push(THEIRS, "team/app", "v1")
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    op = PushManifest(REPO, APP.digest, (Tag("dev"), Tag("v1")))
    await denied(w, lambda: w.say(op, PUSHER, APP.body, content_type=APP.media_type), "tag_immutable")
    assert w.tag("team/app", "v1") == THEIRS.digest
    assert w.tag("team/app", "dev") is None


async def test_an_immutable_tag_that_cannot_be_looked_at_does_not_move() -> None:
    policy = Policy(("**",), PushRules(("release",), immutable_tags=("v*",)), SIGN.pull)
    w = await world(policy)

    def down(seen: Seen) -> Said | None:
        op = seen.operation
        return error(500, "UNKNOWN") if isinstance(op, PullManifest) and op.head else None

    w.registry.hooks.append(down)
    await denied(w, lambda: put(w, APP, "v1", PUSHER), "tag_immutable")


@pytest.mark.parametrize(("allow", "reason"), [((), "push_not_allowed"), (("ci",), "push_not_allowed")])
async def test_who_is_not_on_the_list(allow: tuple[str, ...], reason: str) -> None:
    policy = Policy(("**",), PushRules(("release",), allow=allow), SIGN.pull)
    w = await world(policy, rights=TableRights(proven=frozenset({"reader"})))
    for by in (READER, user("ci"), user("*")):
        await denied(w, lambda by=by: put(w, APP, "v1", by), reason)  # type: ignore[misc]
    assert not w.signer.made


async def test_pulling_signs_nothing() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "v1")
    for reference in ("v1", APP.digest):
        for head in (True, False):
            assert await w.blocked("team/app", reference, PUSHER, head=head) == "unsigned"
        with pytest.raises(Fault):
            await w.look("team/app", reference, PUSHER)
    assert not w.signer.made
    assert not w.store.ledger.rows
