"""Attack 29: more signatures than anybody needs. Bounded work, and a good one within the bound is found."""

from __future__ import annotations

import json

import pytest

from proxy.formats import carrier
from proxy.formats.format import Layer
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from proxy.oci.operation import ListReferrers, PullBlob
from proxy.oci.reference import digest_of, fallback_tag
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import World, world
from tests.worlds.denials import denied
from tests.worlds.foreign import list_in_fallback, put_bundle, put_sig, trusted
from tests.worlds.images import dump, image
from tests.worlds.registry import MemoryRegistry, Said, Seen
from tests.worlds.softkey import SoftKey, soft_key

APP = image("app")
ABOUT = Descriptor(APP.media_type, APP.digest, len(APP.body))
PARTNER, STRANGER = soft_key(name="partner"), soft_key(name="stranger")
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


async def scene(*, referrers: bool = True) -> World:
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    w = await world(policy, trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=referrers))
    w.put_behind(APP, "team/app", "v1")
    return w


def signatures(count: int, good_at: int | None) -> list[Layer]:
    def by(key: SoftKey, n: int) -> Layer:
        return key.layer("cosign-simple", APP.digest, f"r.example/{n}")

    junk = by(STRANGER, 0)
    return [by(PARTNER, n) if n == good_at else junk for n in range(count)]


@pytest.mark.parametrize("at", [0, 1, 50, 99])
async def test_a_good_signature_anywhere_within_the_bound(at: int) -> None:
    w = await scene()
    put_sig(w.registry, "team/app", APP.digest, *distinct(signatures(100, at)))
    assert (await w.pull("team/app", "v1")).body == APP.body


def distinct(layers: list[Layer]) -> list[Layer]:
    """The same payload under many signatures, so that each is a layer of its own."""
    seen: dict[tuple[str, str], Layer] = {}
    for n, layer in enumerate(layers):
        key = carrier.mark(layer.descriptor)
        if key in seen:
            fresh = STRANGER.layer("cosign-simple", APP.digest, f"r.example/junk{n}")
            seen[carrier.mark(fresh.descriptor)] = fresh
        else:
            seen[key] = layer
    return list(seen.values())


async def test_beyond_the_bound_it_is_not_examined_and_not_called_absent() -> None:
    w = await scene()
    layers = distinct(signatures(120, 110))
    put_sig(w.registry, "team/app", APP.digest, *layers)
    fault = await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")
    assert "more than the bound" in fault.message
    about = put_bundle(w, "team/app", ABOUT, PARTNER.layer("sigstore-bundle", APP.digest))
    assert about
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_ten_thousand_layers_are_bounded_work() -> None:
    w = await scene()
    layer = STRANGER.layer("cosign-simple", APP.digest)
    w.registry.put_blob("team/app", layer.data)
    entry = carrier.describe(layer.descriptor)
    many = [{**entry, "annotations": {**layer.descriptor.annotations, "n": str(n)}} for n in range(5_000)]
    body = dump({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY, "layers": many})
    assert len(body) < w.ports.limits.manifest_bytes
    tag = f"sha256-{APP.digest[7:]}.sig"
    w.registry.put_manifest("team/app", body, OCI_MANIFEST, tag)
    seen = len(w.registry.seen)
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable", times=1)
    assert len(w.registry.seen) - seen < 110


EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": digest_of(b"{}")}


@pytest.mark.parametrize("referrers", [True, False])
async def test_ten_thousand_referrers_are_bounded_work(referrers: bool) -> None:
    w = await scene(referrers=referrers)
    entries: list[dict[str, object]] = [
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 700, "artifactType": BUNDLE_TYPE}
        for n in range(10_000)
    ]
    if referrers:
        page = dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        said = Said(200, (("content-type", OCI_INDEX),), page)
        w.registry.hooks.append(lambda s: said if isinstance(s.operation, ListReferrers) else None)
    else:
        list_in_fallback(w.registry, "team/app", APP.digest, entries)
    seen = len(w.registry.seen)
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable", times=1)
    assert len(w.registry.seen) - seen < 110
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


@pytest.mark.parametrize("link", ["itself", "endless", "elsewhere"])
async def test_pages_that_never_end(link: str) -> None:
    w = await scene()
    good = put_bundle(w, "team/app", ABOUT, PARTNER.layer("sigstore-bundle", APP.digest))
    asked = 0

    def page(seen: Seen, said: Said) -> Said:
        nonlocal asked
        if not isinstance(seen.operation, ListReferrers):
            return said
        asked += 1
        base = f"/v2/team/app/referrers/{APP.digest}"
        elsewhere = f"/v2/team/other/referrers/{good}"
        to = {"itself": base, "endless": f"{base}?page={asked}", "elsewhere": elsewhere}[link]
        return Said(said.status, (*said.headers, ("link", f'<{to}>; rel="next"')), said.body)

    w.registry.lies.append(page)
    assert (await w.pull("team/app", "v1")).body == APP.body
    assert asked <= w.ports.limits.referrer_pages
    w = await scene()
    w.registry.lies.append(page)
    reasons = ("unsigned",) if link == "elsewhere" else ("not_verifiable",)
    await denied(w, lambda: w.pull("team/app", "v1"), *reasons)


async def test_a_huge_sbom_is_not_even_opened() -> None:
    w = await scene()
    w.registry.put_blob("team/app", b"{}")
    sbom = dump({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY,
                 "artifactType": "application/spdx+json",
                 "layers": [{"mediaType": "application/spdx+json", "size": 50 << 20, "digest": "sha256:" + "5" * 64}],
                 "subject": {"mediaType": APP.media_type, "digest": APP.digest, "size": len(APP.body)}})  # fmt: skip
    w.registry.put_manifest("team/app", sbom, OCI_MANIFEST)
    huge = json.loads(sbom) | {"artifactType": BUNDLE_TYPE}
    huge["layers"][0]["mediaType"] = BUNDLE_TYPE
    w.registry.put_manifest("team/app", dump(huge), OCI_MANIFEST)
    put_bundle(w, "team/app", ABOUT, PARTNER.layer("sigstore-bundle", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body
    read = {s.operation.digest for s in w.registry.seen if isinstance(s.operation, PullBlob)}
    assert "sha256:" + "5" * 64 not in read


async def test_an_entry_that_cannot_be_read_hides_no_other() -> None:
    w = await scene(referrers=False)
    put_bundle(w, "team/app", ABOUT, PARTNER.layer("sigstore-bundle", APP.digest))
    tag = fallback_tag(APP.digest)
    shelf = w.registry.shelf("team/app")
    good = json.loads(shelf.manifests[shelf.tags[tag]][1])["manifests"]
    junk: list[dict[str, object]] = [
        {}, {"digest": 1}, {"mediaType": OCI_MANIFEST, "digest": "md5:x", "size": 1}, {"Digest": "x"},
        {"mediaType": OCI_MANIFEST, "digest": APP.digest, "size": -1},
    ]  # fmt: skip
    list_in_fallback(w.registry, "team/app", APP.digest, [*junk, *good])
    assert (await w.pull("team/app", "v1")).body == APP.body
