from __future__ import annotations

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Unavailable
from proxy.oci.manifest import parse
from proxy.oci.operation import PullManifest
from proxy.oci.reference import signature_tag
from proxy.registry.request import Request
from proxy.registry.signing.repair import repair
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.question import Resolved
from tests.worlds.conversation import ANYBODY, REPO, World, world
from tests.worlds.crash import restarted
from tests.worlds.images import image

APP = image("app")
SIG = signature_tag(APP.digest)


async def pulled(w: World) -> None:
    await w.pull("team/app", "v1")
    await w.ports.cache.settle()


async def test_looked_for_once_in_a_while_and_put_back() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w = restarted(w)
    await pulled(w)
    seen = w.registry.count(PullManifest)
    w.store.clock.advance(61)
    await pulled(w)
    assert w.registry.count(PullManifest) - seen <= 2
    del w.registry.shelf("team/app").tags[SIG]
    w.store.clock.advance(600)
    await pulled(w)
    assert w.tag("team/app", SIG) is not None
    assert w.store.journal.kinds()[-1] is EventKind.SIGNATURE_REPAIRED


@pytest.mark.parametrize("state", [KeyState.RETIRED, KeyState.COMPROMISED])
async def test_what_a_key_that_no_longer_counts_signed_is_not_missed(state: KeyState) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    (key,) = w.store.keybook.ring().ours
    await w.store.keybook.set_state(fingerprint(key.spki), state, w.store.clock.now())
    await w.store.keybook.add(w.signer.create("release"))
    del w.registry.shelf("team/app").tags[SIG]
    w = restarted(w)
    resolved = Resolved(APP.digest, APP.media_type, APP.body, parse(APP.body, APP.media_type, w.ports.limits))
    await repair(REPO, resolved, Request(ANYBODY, "r"), w.ports)
    assert w.tag("team/app", SIG) is None
    assert {EventKind.SIGNATURE_LOST, EventKind.SIGNATURE_REPAIRED}.isdisjoint(w.store.journal.kinds())


async def test_not_being_able_to_look_is_nothing_lost() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w = restarted(w)
    w.registry.hooks.append(lambda s: _fails(s.operation))
    await pulled(w)
    assert {EventKind.SIGNATURE_LOST, EventKind.SIGNATURE_REPAIRED}.isdisjoint(w.store.journal.kinds())


def _fails(op: object) -> None:
    if isinstance(op, PullManifest) and op.head and op.reference == SIG:
        raise Unavailable("upstream: reset")
