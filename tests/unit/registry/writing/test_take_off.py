from __future__ import annotations

import json

import pytest

from proxy.formats import carrier
from proxy.oci.faults import Unavailable
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import DeleteManifest, PushManifest
from proxy.oci.reference import fallback_tag, signature_tag
from proxy.registry.request import Request
from proxy.registry.signing.attach import layer_of
from proxy.registry.writing.take_off import GONE, off_fallback, off_sig
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry

APP = image("app")
SIG, FALLBACK = signature_tag(APP.digest), fallback_tag(APP.digest)
ASKED = Request(ANYBODY, "r")


async def pushed() -> World:
    w = await world(registry=MemoryRegistry(referrers=False))
    await w.push(APP, "team/app", "v1")
    return w


async def marks(w: World) -> list[carrier.Mark]:
    entries = await w.store.ledger.entries(REPO, APP.digest)
    return [carrier.mark(layer_of(e, w.ports)) for e in entries if e.key.format == "cosign-simple"]


async def test_one_of_several_is_taken_off_and_the_rest_stays_in_its_place() -> None:
    w = await pushed()
    _, before = w.registry.shelf("team/app").manifests[w.tag("team/app", SIG) or ""]
    first, second = json.loads(before)["layers"]
    rest = await off_sig(REPO, APP.digest, [(first["digest"], *first["annotations"].values())], ASKED, w.ports)
    assert rest is not None
    assert json.loads(rest)["layers"] == [second]
    assert w.registry.shelf("team/app").manifests[w.tag("team/app", SIG) or ""][1] == rest


async def test_a_list_of_nothing_else_goes_and_what_is_not_there_costs_no_write() -> None:
    w = await pushed()
    ours = await marks(w)
    assert await off_sig(REPO, APP.digest, ours, ASKED, w.ports) == GONE
    assert w.tag("team/app", SIG) is None
    written = w.registry.count(PushManifest, DeleteManifest)
    assert await off_sig(REPO, APP.digest, ours, ASKED, w.ports) is None
    assert await off_fallback(REPO, APP.digest, [APP.digest], ASKED, w.ports) is None
    assert w.registry.count(PushManifest, DeleteManifest) == written


@pytest.mark.parametrize("tag", [SIG, FALLBACK])
async def test_what_is_no_list_is_left_alone(tag: str) -> None:
    w = await pushed()
    other = w.put_behind(image("other"), "team/app", tag)
    assert await off_sig(REPO, APP.digest, await marks(w), ASKED, w.ports) is (None if tag == SIG else GONE)
    assert await off_fallback(REPO, APP.digest, [other], ASKED, w.ports) is None
    assert w.tag("team/app", tag) == other
    junk = w.registry.put_manifest("team/app", b"{", OCI_MANIFEST, tag)
    await off_sig(REPO, APP.digest, [("a", "b")], ASKED, w.ports)
    await off_fallback(REPO, APP.digest, [other], ASKED, w.ports)
    assert w.tag("team/app", tag) == junk


async def test_a_list_that_upstream_does_not_let_go_is_an_error() -> None:
    w = await pushed()
    w.registry.fail(DeleteManifest, 405, times=2)
    with pytest.raises(Unavailable, match="405 and 405"):
        await off_sig(REPO, APP.digest, await marks(w), ASKED, w.ports)
