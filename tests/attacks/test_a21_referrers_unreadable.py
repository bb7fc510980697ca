"""Attack 21: whoever can make signatures unreadable must not make anything look unsigned, and still less allowed."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Unavailable
from proxy.oci.manifest import Descriptor
from proxy.oci.operation import ListReferrers, PullBlob, PullManifest
from proxy.oci.reference import fallback_tag, signature_tag
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error
from tests.worlds.softkey import soft_key

APP = image("app")
PARTNER = soft_key(name="partner")
STATUS = [401, 403, 429, 500, 502, 503, 0]


async def scene(*, referrers: bool = True, mode: str = "enforce") -> World:
    pull = PullRules(mode=mode, require=(Clause(("partner",)),))  # type: ignore[arg-type]
    w = await world(
        Policy(("**",), pull=pull), trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=referrers)
    )
    w.put_behind(APP, "team/app", "v1")
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    put_bundle(w, "team/app", about, PARTNER.layer("sigstore-bundle", APP.digest))
    return w


def breaks(w: World, kind: type, status: int, reference: str | None = None) -> None:
    def hook(seen: Seen) -> Said | None:
        op = seen.operation
        if not isinstance(op, kind) or reference not in (None, getattr(op, "reference", None)):
            return None
        if status == 0:
            raise Unavailable("upstream: connection reset")
        return error(status, "UNKNOWN")

    w.registry.hooks.append(hook)


async def inconclusive(w: World) -> None:
    fault = await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")
    assert fault.status == 403
    assert "could not verify" in fault.message
    assert "retry" in fault.message
    assert fault.headers["Retry-After"]
    w.registry.hooks.clear()
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("status", STATUS)
async def test_the_api(status: int) -> None:
    w = await scene()
    breaks(w, ListReferrers, status)
    await inconclusive(w)


@pytest.mark.parametrize("status", STATUS)
async def test_the_fallback_tag(status: int) -> None:
    w = await scene(referrers=False)
    breaks(w, PullManifest, status, fallback_tag(APP.digest))
    await inconclusive(w)


@pytest.mark.parametrize("status", STATUS)
async def test_the_layer_of_a_signature(status: int) -> None:
    w = await scene()
    breaks(w, PullBlob, status)
    await inconclusive(w)


@pytest.mark.parametrize("status", STATUS)
async def test_the_sig_tag(status: int) -> None:
    w = await scene()
    w.registry.shelf("team/app").manifests = {
        d: m for d, m in w.registry.shelf("team/app").manifests.items() if b"subject" not in m[1]
    }
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    breaks(w, PullManifest, status, signature_tag(APP.digest))
    await inconclusive(w)


async def test_whether_there_is_an_api_could_not_be_found_out() -> None:
    w = await scene()
    w.registry.referrers_down = True
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")


async def test_a_place_that_is_silent_does_not_matter_when_another_one_is_enough() -> None:
    w = await scene()
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    breaks(w, ListReferrers, 503)
    assert (await w.pull("team/app", "v1")).body == APP.body
    w = await scene()
    breaks(w, PullManifest, 503, signature_tag(APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_in_warn_mode_it_is_let_through_with_what_is_not_known() -> None:
    w = await scene(mode="warn")
    breaks(w, ListReferrers, 503)
    answer = await w.pull("team/app", "v1")
    assert answer.body == APP.body
    assert "could not be verified" in str(answer.warning)
