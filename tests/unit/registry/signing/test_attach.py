from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.journal.event import EventKind
from proxy.keys import lifecycle
from proxy.oci.faults import Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import PushManifest
from proxy.oci.reference import parse_tag, signature_tag
from proxy.registry.request import Request
from proxy.registry.signing.attach import attach, carried, due, layer_of
from proxy.registry.signing.sign import SIMPLE, sign
from proxy.trust.actor import Actor
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.ledger import Entry, SignatureKey, Stage
from proxy.trust.schedule import Handover
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.foreign import put_sig
from tests.worlds.images import image
from tests.worlds.memory import NOON
from tests.worlds.softkey import about, soft_key

BY = Actor("bob", "basic", "", "r")

APP = image("app")
ABOUT = Descriptor(APP.media_type, APP.digest, len(APP.body))
ASKED = Request(ANYBODY, "r")
OWN = "proxy.example/team/app"
V1 = parse_tag("v1")


async def signed(*bounds: str) -> tuple[World, tuple[Entry, ...]]:
    w = await world()
    pairs = [(SIMPLE, bound) for bound in bounds]
    return w, await sign(REPO, about(APP.digest), pairs, ("release",), {}, BY, w.ports)


def layers(w: World) -> list[dict[str, str]]:
    shelf = w.registry.shelf("team/app")
    found: list[dict[str, str]] = json.loads(shelf.manifests[shelf.tags[signature_tag(APP.digest)]][1])["layers"]
    return found


async def test_everything_the_ledger_has_is_upstream_and_a_second_time_costs_no_write() -> None:
    w, made = await signed(OWN, f"{OWN}:v1")
    await attach(REPO, ABOUT, ASKED, w.ports, moved=[V1])
    assert {e.stage for e in w.store.ledger.rows.values()} == {Stage.ATTACHED}
    assert {d["digest"] for d in layers(w)} == {layer_of(e, w.ports).digest for e in made}
    assert w.store.journal.kinds().count(EventKind.SIGNATURE_ATTACHED) == 2
    writes = w.registry.count(PushManifest)
    await attach(REPO, ABOUT, ASKED, w.ports)
    assert w.registry.count(PushManifest) == writes


async def test_what_names_a_tag_that_is_not_known_to_point_here_waits() -> None:
    w, made = await signed(OWN, f"{OWN}:v1", f"{OWN}:v2")
    await attach(REPO, ABOUT, ASKED, w.ports)
    assert [d["digest"] for d in layers(w)] == [layer_of(made[0], w.ports).digest]
    await attach(REPO, ABOUT, ASKED, w.ports, moved=[V1])
    await attach(REPO, ABOUT, ASKED, w.ports)  # it is attached already: so it stays, also where it has to be put back
    assert [d["digest"] for d in layers(w)] == [layer_of(e, w.ports).digest for e in made[:2]]
    assert due(await w.store.ledger.entries(REPO, APP.digest), [parse_tag("v3")]) == [
        e for e in await w.store.ledger.entries(REPO, APP.digest) if e.key.bound != f"{OWN}:v2"
    ]


async def test_layers_of_other_people_stay_as_they_are() -> None:
    w, _ = await signed(OWN)
    theirs = soft_key().layer("cosign-simple", APP.digest)
    put_sig(w.registry, "team/app", APP.digest, theirs)
    before = layers(w)
    await attach(REPO, ABOUT, ASKED, w.ports)
    assert layers(w)[:1] == before
    assert len(layers(w)) == 2


async def test_a_bounded_list_keeps_what_has_no_tag_and_the_newest() -> None:
    w = await world()
    (key,) = w.store.keybook.ring().ours
    bounds = [OWN, *(f"{OWN}:v{n}" for n in range(50))]

    def entry(n: int, bound: str) -> Entry:
        at = NOON + timedelta(seconds=n)
        return Entry(SignatureKey(REPO, APP.digest, key.key_id, SIMPLE, bound), Stage.SIGNED, b"m", at, b"s")

    entries = [entry(n, bound) for n, bound in enumerate(bounds)][::-1]
    kept = [e.key.bound for e in carried(entries, w.ports)]
    assert kept == [OWN, *(f"{OWN}:v{n}" for n in range(49, 18, -1))]
    assert not carried([Entry(entries[0].key, Stage.INTENDED, b"m", NOON)], w.ports)


async def test_a_bounded_list_has_for_each_name_the_signatures_of_all_keys_or_of_none() -> None:
    """While two keys sign, who knows one of them must not be the one whose signature fell off the end."""
    w = await world(limits=Limits(own_layers=5))
    await lifecycle.rotate("release", Actor("a", "socket", "r"), w.ports, terms=Handover(dual_sign=timedelta(days=1)))
    for bound in (OWN, f"{OWN}:v1", f"{OWN}:v2"):
        await sign(REPO, about(APP.digest), [(SIMPLE, bound)], ("release",), {}, BY, w.ports)
        w.store.clock.advance(1)
    kept = carried(await w.store.ledger.entries(REPO, APP.digest), w.ports)
    assert [e.key.bound for e in kept] == [OWN, OWN, f"{OWN}:v2", f"{OWN}:v2"]
    assert len({e.key.fingerprint for e in kept}) == 2


async def key_becomes(w: World, state: KeyState) -> None:
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), state, w.store.clock.now())


@pytest.mark.parametrize("state", [KeyState.RETIRED, KeyState.COMPROMISED])
async def test_what_a_key_that_no_longer_counts_signed_is_not_put_back(state: KeyState) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    await key_becomes(w, state)
    shelf = w.registry.shelf("team/app")
    shelf.tags.clear()
    for digest in [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]:
        del shelf.manifests[digest]
    await attach(REPO, ABOUT, ASKED, w.ports, relist=True)
    assert shelf.tags == {}
    assert not [d for d, (_, body) in shelf.manifests.items() if b'"subject"' in body]


@pytest.mark.parametrize("state", [KeyState.RETIRED, KeyState.COMPROMISED])
async def test_a_push_with_a_new_key_leaves_the_retired_ones_and_drops_the_compromised(state: KeyState) -> None:
    w = await world()
    put_sig(w.registry, "team/app", APP.digest, soft_key().layer("cosign-simple", APP.digest))
    theirs = layers(w)
    await w.push(APP, "team/app", "v1")
    before = layers(w)
    assert len(before) == 3
    await key_becomes(w, state)
    await w.store.keybook.add(w.signer.create("release"))
    await w.push(APP, "team/app", "v1")
    kept = before if state is KeyState.RETIRED else theirs
    assert layers(w)[: len(kept)] == kept
    assert len(layers(w)) == len(kept) + 2
    assert (await w.pull("team/app", "v1")).status == 200
    writes = w.registry.count(PushManifest)
    await attach(REPO, ABOUT, ASKED, w.ports)
    assert w.registry.count(PushManifest) == writes


async def test_somebody_who_keeps_writing_the_list_is_named_after_a_few_tries() -> None:
    """Upstream's answer to a write names no digest here, so the list is looked at."""
    w, _ = await signed(OWN)
    w.registry.lies.append(lambda _, said: replace(said, headers=()) if said.status == 201 else said)
    theirs = soft_key().layer("cosign-simple", APP.digest)

    def meddle(seen: object) -> None:
        put_sig(w.registry, "team/app", APP.digest, theirs)

    w.registry.hooks.append(meddle)
    with pytest.raises(Unavailable, match="somebody else keeps writing"):
        await attach(REPO, ABOUT, ASKED, w.ports)
