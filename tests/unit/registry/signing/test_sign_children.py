from __future__ import annotations

from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, Manifest, parse
from proxy.oci.reference import parse_tag
from proxy.registry.request import Request
from proxy.registry.signing.sign_children import wanted_below
from proxy.trust.policy import PushRules
from tests.worlds.conversation import ANYBODY, REPO, world
from tests.worlds.images import Image, image, index

RULES = PushRules(("release",))
ASKED = Request(ANYBODY, "r")
TAG = parse_tag("v1")


def read(one: Image) -> Manifest:
    return parse(one.body, OCI_INDEX, Limits())


async def test_children_we_signed_are_bound_to_the_tag_down_to_the_last() -> None:
    w = await world()
    leaf = image("leaf")
    nested = index(index(leaf))
    await w.push(nested, "team/app")
    made = await wanted_below(REPO, read(nested), (TAG,), RULES, ASKED, w.ports)
    assert {child.digest for child, _ in made} == {leaf.digest, nested.children[0].digest}
    assert all(pairs == [("cosign-simple", "proxy.example/team/app:v1")] for _, pairs in made)


async def test_others_are_left_alone() -> None:
    w = await world()
    stranger = image("stranger")
    w.put_behind(stranger, "team/app")
    assert not await wanted_below(REPO, read(index(stranger)), (TAG,), RULES, ASKED, w.ports)
    await w.push(image("ours"), "team/app")
    assert not await wanted_below(REPO, read(index(image("ours"))), (), RULES, ASKED, w.ports)
    bundles_only = PushRules(("release",), ("sigstore-bundle",))
    assert not await wanted_below(REPO, read(index(image("ours"))), (TAG,), bundles_only, ASKED, w.ports)
