from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.operation import PushManifest
from proxy.oci.reference import Tag, fallback_tag, is_digest, parse_reference, signature_tag
from proxy.trust.ledger import Stage
from proxy.trust.policy import Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, SIGN, World, user, world
from tests.worlds.images import descriptor, image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.rights import TableRights

APP = image("app")


def formats_of(formats: tuple[str, ...]) -> Policy:
    """A policy that signs in these formats."""
    return Policy(("**",), PushRules(("release",), formats), SIGN.pull)


def written(w: World) -> list[str]:
    """The manifests upstream was sent, in order; bundles go by the name `bundle`."""
    names = {str(APP.digest): "image", signature_tag(APP.digest): "sig", fallback_tag(APP.digest): "fallback"}
    sent = [str(s.operation.reference) for s in w.registry.seen if isinstance(s.operation, PushManifest)]
    return [names.get(each, "bundle" if is_digest(parse_reference(each)) else each) for each in sent]


@pytest.mark.parametrize(
    ("formats", "order"),
    [
        (("cosign-simple", "sigstore-bundle"), ["image", "bundle", "fallback", "v1", "sig"]),
        (("sigstore-bundle",), ["image", "bundle", "fallback", "v1"]),
        (("cosign-simple",), ["image", "sig", "v1", "sig"]),
    ],
)
async def test_what_names_no_tag_is_attached_before_the_tag_moves_and_what_names_it_afterwards(
    formats: tuple[str, ...], order: list[str]
) -> None:
    w = await world(formats_of(formats), registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    assert written(w) == order


async def test_several_tags_at_once_are_all_bound_and_told() -> None:
    w = await world()
    for blob in APP.blobs:
        w.registry.put_blob("team/app", blob)
    op = PushManifest(REPO, APP.digest, (Tag("a"), Tag("b")))
    answer = await w.say(op, body=APP.body, content_type=APP.media_type)
    assert [v for k, v in answer.headers if k == "oci-tag"] == ["a", "b"]
    assert (w.tag("team/app", "a"), w.tag("team/app", "b")) == (APP.digest, APP.digest)
    bounds = {e.key.bound for e in w.store.ledger.rows.values()}
    assert bounds >= {"proxy.example/team/app:a", "proxy.example/team/app:b"}


async def test_a_policy_without_keys_passes_on() -> None:
    w = await world(Policy(("**",), PushRules(), PullRules(mode="off")))
    assert (await w.push(APP, "team/app", "v1")).status == 201
    assert not w.signer.made
    assert w.store.journal.kinds() == [EventKind.PUSH_ACCEPTED]


@pytest.mark.parametrize("referrers", [True, False])
async def test_what_has_a_subject_is_listed_before_it_is_acknowledged(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    sbom = image("sbom", subject=descriptor(APP.media_type, APP.body), artifactType="application/spdx+json")
    answer = await w.push(sbom, "team/app")
    assert dict(answer.headers)["oci-subject"] == APP.digest
    if not referrers:
        listed = w.registry.shelf("team/app")
        index = listed.manifests[listed.tags[signature_tag(APP.digest)[:-4]]][1]
        assert sbom.digest.encode() in index


async def test_claims_say_who_and_when() -> None:
    policy = Policy(("**",), PushRules(("release",), claims=("pusher", "time")), SIGN.pull)
    w = await world(policy, rights=TableRights(frozenset({"alice"})))
    await w.push(APP, "team/app", "v1", user("alice"))
    assert {(e.claims["pusher"], e.claims["time"]) for e in w.store.ledger.rows.values()} == {
        ("alice", "2026-01-02T12:00:00Z")
    }


async def test_what_cannot_be_read_is_refused_before_anybody_else_hears_of_it() -> None:
    w = await world()
    with pytest.raises(Fault, match="manifest not valid"):
        await w.say(PushManifest(REPO, parse_reference("v1")), body=b"{", content_type="")
    (row,) = w.store.journal.events
    assert (row.kind, row.reason, row.detail["code"]) == (
        EventKind.PUSH_DENIED,
        "ambiguous_manifest",
        "MANIFEST_INVALID",
    )
    assert not w.registry.seen


async def test_upstreams_refusal_of_the_tag_is_relayed_and_nothing_is_attached_that_names_it() -> None:
    def refuses(seen: Seen) -> Said | None:
        op = seen.operation
        return error(403, "DENIED") if isinstance(op, PushManifest) and op.reference == "v1" else None

    w = await world()
    await w.push(APP, "team/app")
    w.registry.hooks.append(refuses)
    assert (await w.push(APP, "team/app", "v1")).status == 403
    attached = {e.key.bound for e in await w.store.ledger.entries(REPO, APP.digest) if e.stage is Stage.ATTACHED}
    assert attached == {"proxy.example/team/app"}
