"""Attack 38: cheap requests that are dear to judge. Every request has a budget, whatever the product of its parts."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from proxy.formats import carrier
from proxy.oci.faults import Fault
from proxy.oci.limits import KIB, MIB
from proxy.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from proxy.oci.operation import ListReferrers, PullBlob, PullManifest, PushManifest, StartUpload
from proxy.oci.reference import Digest, digest_of, fallback_tag, parse_repository, parse_tag, signature_tag
from proxy.registry.budget import Budget
from proxy.registry.handle import handle
from proxy.registry.request import Request
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, World, signed_by, user, world
from tests.worlds.denials import denied
from tests.worlds.foreign import list_in_fallback, put_bundle, put_sig, trusted
from tests.worlds.images import Image, dump, image, index
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import soft_key

APP = image("app")
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
JUNK = b'{"a":[' + b"[[]]," * ((MIB - 20) // 5) + b"1]}"
NOTHING = b"{}"
PARTNER = soft_key(name="partner")
PARTNERS = Policy(("**",), PushRules(("release",)), PullRules(require=(Clause(("partner",)),)))


def ticking(seconds: float) -> Budget:
    """A budget by whose clock each piece of work takes this long."""
    times = itertools.count()
    return Budget(lambda: next(times) * seconds)


def descriptor(media_type: str, data: bytes, **annotations: str) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(data), "digest": digest_of(data), "annotations": annotations}


def list_of(*layers: dict[str, object], n: int = 0) -> Image:
    """A list of signatures by its shape."""
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, NOTHING),
            "layers": list(layers), "annotations": {"n": str(n)}}  # fmt: skip
    return Image(dump(body), OCI_MANIFEST, (NOTHING,))


def junk(count: int, media_type: str = SIMPLE, data: bytes = JUNK) -> list[dict[str, object]]:
    return [descriptor(media_type, data, **{"dev.cosignproject.cosign/signature": "AAAA"}) for _ in range(count)]


def put_behind(w: World, one: Image, *blobs: bytes, tag: str = "v1") -> None:
    for blob in blobs:
        w.registry.put_blob("team/app", blob)
    w.put_behind(one, "team/app", tag)


def put_junk_sig(w: World, subject: Digest, layers: list[dict[str, object]], *blobs: bytes) -> None:
    one = list_of(*layers)
    for blob in (NOTHING, *blobs):
        w.registry.put_blob("team/app", blob)
    w.registry.put_manifest("team/app", one.body, OCI_MANIFEST, signature_tag(subject))


def reads(w: World, data: bytes) -> int:
    return sum(isinstance(s.operation, PullBlob) and s.operation.digest == digest_of(data) for s in w.registry.seen)


# What might be a signature


@pytest.mark.parametrize("media_type", [SIMPLE, BUNDLE, "application/jose+json", "application/cose"])
async def test_a_hundred_layers_that_are_one_blob_are_no_signature_and_not_read(media_type: str) -> None:
    w = await world()
    one = list_of(*junk(100, media_type))
    put_behind(w, one, JUNK)
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    assert reads(w, JUNK) == 0
    fact = await w.store.facts.manifest(REPO, one.digest)
    assert fact is not None
    assert fact.artifact is False


@pytest.mark.parametrize("at", [0, 50, 99])
async def test_one_layer_that_is_too_large_is_seen_before_any_is_read(at: int) -> None:
    w = await world()
    small = soft_key().layer("cosign-simple", APP.digest)
    layers = [carrier.describe(small.descriptor) for _ in range(100)]
    layers[at] = descriptor(SIMPLE, b" " * (MIB + 1), **{"dev.cosignproject.cosign/signature": "AAAA"})
    put_behind(w, list_of(*layers), small.data)
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    assert w.registry.count(PullBlob) == 0


async def test_a_config_that_is_too_large_is_seen_before_any_is_read() -> None:
    w = await world()
    small = soft_key().layer("cosign-simple", APP.digest)
    body = json.loads(list_of(carrier.describe(small.descriptor)).body)
    body["config"] = descriptor(OCI_CONFIG, b" " * (MIB + 1))
    put_behind(w, Image(dump(body), OCI_MANIFEST), small.data)
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    assert w.registry.count(PullBlob) == 0


async def test_layers_that_are_one_blob_are_read_once() -> None:
    w = await world()
    key, other = soft_key(), soft_key()
    both = [key.layer("cosign-simple", APP.digest, "r"), other.layer("cosign-simple", APP.digest, "r")]
    assert both[0].data == both[1].data
    one = list_of(*(carrier.describe(each.descriptor) for each in both))
    put_behind(w, one, both[0].data)
    assert (await w.pull("team/app", "v1")).body == one.body
    assert reads(w, both[0].data) == 1


async def test_what_one_request_cannot_afford_is_said_and_not_tried_again_whatever_the_credential() -> None:
    w = await world()
    layers = [b'{"a":"' + bytes([97 + n]) * (300 * KIB) + b'"}' for n in range(12)]
    put_behind(w, list_of(*(junk(1, SIMPLE, each)[0] for each in layers)), *layers)
    op = PullManifest(REPO, parse_tag("v1"))
    for n in range(5):
        with pytest.raises(Fault) as refused:
            await handle(op, Request(user(f"u{n}"), "r", budget=ticking(1.1)), w.ports)
        assert refused.value.reason == "not_verifiable"
        assert "costs more than one request may" in refused.value.message
    assert w.registry.count(PullBlob) <= 8
    w.store.clock.advance(11)
    before = w.registry.count(PullBlob)
    with pytest.raises(Fault):
        await w.pull("team/app", "v1")
    assert w.registry.count(PullBlob) > before


async def test_our_own_copy_is_looked_at_before_what_might_be_a_signature() -> None:
    w = await world()
    big = list_of(*(junk(1, SIMPLE, b'{"a":"' + bytes([97 + n]) * 1000 + b'"}')[0] for n in range(20)))
    for n in range(20):
        w.registry.put_blob("team/app", b'{"a":"' + bytes([97 + n]) * 1000 + b'"}')
    await w.push(big, "team/app", "v1")  # no signature: so it is signed as an image
    w.registry.seen.clear()
    w.store.clock.advance(120)
    assert (await w.pull("team/app", "v1")).body == big.body
    assert w.registry.count(PullBlob) == 0


# What is said about an image


@pytest.mark.parametrize("place", ["sig", "referrers"])
async def test_a_hundred_junk_signatures_that_are_one_blob_are_read_and_examined_once(place: str) -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    if place == "sig":
        put_junk_sig(w, APP.digest, junk(100), JUNK)
    else:
        w.registry.put_blob("team/app", JUNK)
        w.registry.put_blob("team/app", NOTHING)
        for n in range(100):
            body = json.loads(list_of(*junk(1, BUNDLE), n=n).body) | {
                "artifactType": BUNDLE,
                "subject": {"mediaType": APP.media_type, "digest": APP.digest, "size": len(APP.body)},
            }
            w.registry.put_manifest("team/app", dump(body), OCI_MANIFEST)
    with pytest.raises(Fault) as refused:
        await w.pull("team/app", "v1")
    assert refused.value.reason == "bad_signature"
    assert reads(w, JUNK) == 1


async def test_a_blob_that_is_in_the_tag_and_among_the_referrers_is_read_once() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    stranger = soft_key().layer("cosign-simple", APP.digest)
    put_sig(w.registry, "team/app", APP.digest, stranger)
    put_bundle(w, "team/app", Descriptor(APP.media_type, APP.digest, len(APP.body)), stranger)
    await denied(w, lambda: w.pull("team/app", "v1"), "untrusted_key", times=1)
    assert reads(w, stranger.data) == 1


async def test_a_good_signature_is_found_behind_large_junk() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    bombs = [b'{"a":"' + f"{n:03}".encode() * (340 * KIB) + b'"}' for n in range(40)]
    good = PARTNER.layer("cosign-simple", APP.digest)
    layers = [junk(1, SIMPLE, each)[0] for each in bombs] + [carrier.describe(good.descriptor)]
    put_junk_sig(w, APP.digest, layers, good.data, *bombs)
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_junk_among_the_referrers_does_not_use_up_what_the_tag_needs() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    w.put_behind(APP, "team/app", "v1")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    entries = []
    for n in range(30):
        body = list_of(*junk(1), n=n).body + b" " * (3 * MIB)
        digest = w.registry.put_manifest("team/app", body, OCI_MANIFEST)
        entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": 700, "artifactType": BUNDLE})
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    assert (await w.pull("team/app", "v1")).body == APP.body
    assert w.registry.count(PullBlob) == 1


async def test_large_referrers_end_at_the_budget_and_are_not_called_absent() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    w.put_behind(APP, "team/app", "v1")
    entries = []
    for n in range(30):
        digest = w.registry.put_manifest("team/app", list_of(*junk(1), n=n).body + b" " * (3 * MIB), OCI_MANIFEST)
        entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": 700, "artifactType": BUNDLE})
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    for n in range(3):
        assert await w.blocked("team/app", "v1", user(f"u{n}")) == "not_verifiable"
    read = [
        s
        for s in w.registry.seen
        if isinstance(s.operation, PullManifest) and s.operation.reference in {e["digest"] for e in entries}
    ]
    assert len(read) <= 16


async def test_what_was_too_much_is_known_again_as_soon_as_a_signature_is_added() -> None:
    w = await world()
    w.put_behind(APP, "team/app", "v1")
    bombs = [b'{"a":"' + f"{n:03}".encode() * (340 * KIB) + b'"}' for n in range(40)]
    put_junk_sig(w, APP.digest, [junk(1, SIMPLE, each)[0] for each in bombs], *bombs)
    assert await w.blocked("team/app", "v1") == "not_verifiable"
    await w.push(APP, "team/app", "v1")
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_what_a_child_uses_up_is_not_held_against_the_index_that_lists_it() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    whole = index(APP)
    w.put_behind(whole, "team/app", "v1")
    put_sig(w.registry, "team/app", whole.digest, PARTNER.layer("cosign-simple", whole.digest))
    assert (await w.pull("team/app", "v1")).body == whole.body
    bombs = [b'{"a":"' + f"{n:03}".encode() * (340 * KIB) + b'"}' for n in range(40)]
    put_junk_sig(w, APP.digest, [junk(1, SIMPLE, each)[0] for each in bombs], *bombs)
    w.store.clock.advance(120)
    assert (await w.pull("team/app", APP.digest)).body == APP.body
    w.store.clock.advance(120)
    assert (await w.pull("team/app", "v1")).body == whole.body


async def test_junk_about_every_index_above_a_child_is_bounded_work() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    bombs = [b'{"a":"' + f"{n:03}".encode() * (340 * KIB) + b'"}' for n in range(40)]
    for n in range(8):
        above = index(APP, annotations={"n": str(n)})
        w.put_behind(above, "team/app", f"v{n}")
        put_junk_sig(w, above.digest, [junk(1, SIMPLE, each)[0] for each in bombs], *bombs)
        assert await w.blocked("team/app", f"v{n}") == "not_verifiable"
    w.store.clock.advance(120)
    w.registry.seen.clear()
    assert await w.blocked("team/app", APP.digest) == "not_verifiable"
    assert w.registry.count(PullBlob) * len(bombs[0]) <= 2 * w.ports.limits.request_bytes


async def test_junk_about_everything_under_a_fallback_tag_is_bounded_work() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),), registry=MemoryRegistry(referrers=False))
    entries: list[dict[str, object]] = []
    for n in range(100):
        one = image(f"{n}")
        w.put_behind(one, "team/app")
        layers = [carrier.describe(soft_key().layer("cosign-simple", one.digest, f"{m}").descriptor) for m in range(30)]
        put_junk_sig(w, one.digest, layers)
        entries.append({"mediaType": OCI_MANIFEST, "digest": one.digest, "size": len(one.body)})
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    w.registry.seen.clear()
    assert await w.blocked("team/app", fallback_tag(APP.digest)) in {"not_verifiable", "unsigned"}
    assert len(w.registry.seen) <= w.ports.limits.request_lookups + 10


async def test_a_mount_from_where_nothing_can_be_afforded_is_an_upload() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    bombs = [b'{"a":"' + f"{n:03}".encode() * (340 * KIB) + b'"}' for n in range(40)]
    put_junk_sig(w, APP.digest, [junk(1, SIMPLE, each)[0] for each in bombs], *bombs)
    assert await w.blocked("team/app", "v1") == "not_verifiable"
    w.store.clock.advance(120)
    w.registry.seen.clear()
    answer = await w.say(StartUpload(parse_repository("team/new"), None, digest_of(APP.blobs[1]), REPO))
    assert answer.status == 202
    assert w.registry.count(PullBlob) <= 24  # what half of the budget pays, and what was under way then


async def test_a_digest_signed_for_many_tags_is_judged_by_a_bounded_number_of_copies() -> None:
    both = signed_by("release", "partner", at_least=2)
    w = await world(Policy(("**",), PushRules(("release",), ("cosign-simple",)), both), trusted=(trusted(PARTNER),))
    for n in range(5):
        op = PushManifest(REPO, APP.digest, tuple(parse_tag(f"t{n}-{m}") for m in range(32)))
        for blob in APP.blobs:
            w.registry.put_blob("team/app", blob)
        await w.say(op, body=APP.body, content_type=OCI_MANIFEST)
    assert await w.blocked("team/app", "t0-0") in {"not_verifiable", "too_few_signatures"}
    put_bundle(
        w,
        "team/app",
        Descriptor(APP.media_type, APP.digest, len(APP.body)),
        PARTNER.layer("sigstore-bundle", APP.digest),
    )
    w.store.clock.advance(120)
    assert (await w.pull("team/app", "t0-0")).body == APP.body


# Lists of referrers


def referring(*layers: dict[str, object], n: int = 0) -> bytes:
    """A manifest that refers to APP."""
    return dump(json.loads(list_of(*layers, n=n).body) | {"subject": descriptor(APP.media_type, APP.body)})


@pytest.mark.parametrize("size", [700, 4 * MIB - 100])
async def test_a_thousand_entries_that_are_one_manifest_are_read_once(size: int) -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    body = referring(*junk(1))
    body += b" " * (size - len(body))
    digest = w.registry.put_manifest("team/app", body, OCI_MANIFEST)
    entry: dict[str, object] = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body)}
    list_in_fallback(w.registry, "team/app", APP.digest, [entry] * 1000)
    answer = await w.say(ListReferrers(REPO, APP.digest))
    assert [e["digest"] for e in json.loads(answer.body)["manifests"]] == [digest]
    assert sum(isinstance(s.operation, PullManifest) and s.operation.reference == digest for s in w.registry.seen) == 1


async def test_many_large_entries_end_at_the_budget_and_stay_as_they_were() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    bodies = [referring(*junk(1), n=n) + b" " * (3 * MIB) for n in range(40)]
    entries: list[dict[str, object]] = [
        {"mediaType": OCI_MANIFEST, "digest": w.registry.put_manifest("team/app", body, OCI_MANIFEST), "size": 7}
        for body in bodies
    ]
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    for n in range(3):
        answer = await w.say(ListReferrers(REPO, APP.digest), user(f"u{n}"))
        assert [e["digest"] for e in json.loads(answer.body)["manifests"]] == [e["digest"] for e in entries]
    named = {e["digest"] for e in entries}
    assert sum(isinstance(s.operation, PullManifest) and s.operation.reference in named for s in w.registry.seen) <= 20


# Pushes


async def test_an_index_times_its_tags_is_bounded_and_the_answer_says_so() -> None:
    w = await world()
    children = [image(f"child{n}") for n in range(40)]
    whole = index(*children)
    for child in children:
        await w.push(child, "team/app")
    signed = len(w.store.ledger.rows)
    op = PushManifest(REPO, whole.digest, tuple(parse_tag(f"t{n}") for n in range(32)))
    answer = await w.say(op, body=whole.body, content_type=OCI_INDEX)
    assert answer.status == 201
    assert "signatures_per_push" in (answer.warning or "") or "1280 signatures" in (answer.warning or "")
    assert len(w.store.ledger.rows) - signed == 1 + 1 + 32  # the index alone: bundle, repository, tags
    for tag in op.tags:
        assert (await w.pull("team/app", tag)).body == whole.body


async def test_an_index_within_the_bound_has_its_children_bound_to_the_tags() -> None:
    w = await world()
    children = [image(f"child{n}") for n in range(16)]
    for child in children:
        await w.push(child, "team/app")
    op = PushManifest(REPO, index(*children).digest, tuple(parse_tag(f"t{n}") for n in range(32)))
    answer = await w.say(op, body=index(*children).body, content_type=OCI_INDEX)
    assert answer.warning is None
    for child in children:
        bound = {e.key.bound for e in w.store.ledger.rows.values() if e.key.digest == child.digest}
        assert {f"proxy.example/team/app:{tag}" for tag in op.tags} <= bound


# The giants that are right


async def test_an_image_of_a_thousand_layers() -> None:
    w = await world()
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    layers = [descriptor(kind, f"{n}".encode(), a="b", c="d") for n in range(1000)]
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, NOTHING), "layers": layers}
    giant = Image(dump(body), OCI_MANIFEST, (NOTHING, *(f"{n}".encode() for n in range(1000))))
    assert (await w.push(giant, "team/app", "v1")).status == 201
    assert (await w.pull("team/app", "v1")).body == giant.body
    assert (await w.blob("team/app", digest_of(b"999"))).status == 200


async def test_an_index_of_256_children_and_its_tag() -> None:
    w = await world()
    children = [image(f"child{n}") for n in range(256)]
    for child in children:
        await w.push(child, "team/app")
    whole = index(*children)
    answer = await w.say(PushManifest(REPO, parse_tag("v1")), body=whole.body, content_type=OCI_INDEX)
    assert (answer.status, answer.warning) == (201, None)
    assert (await w.pull("team/app", "v1")).body == whole.body
    assert (await w.pull("team/app", children[-1].digest)).body == children[-1].body


async def test_a_hundred_signatures_on_one_digest() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    layers = [soft_key().layer("cosign-simple", APP.digest, f"r/{n}") for n in range(99)]
    put_sig(w.registry, "team/app", APP.digest, *layers, PARTNER.layer("cosign-simple", APP.digest))
    assert (await w.pull("team/app", "v1")).body == APP.body


async def test_a_thousand_referrers_are_listed_as_the_api_would() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    entries: list[dict[str, object]] = []
    for n in range(1000):
        told = {"artifactType": BUNDLE, "layers": [], "annotations": {"n": str(n), "a": "b", "c": "d", "e": "f"}}
        body = dump(json.loads(referring()) | told)
        digest = w.registry.put_manifest("team/app", body, OCI_MANIFEST)
        entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body), "annotations": {"a": "b"}})
    list_in_fallback(w.registry, "team/app", APP.digest, entries)
    listed = json.loads((await w.say(ListReferrers(REPO, APP.digest))).body)["manifests"]
    assert len(listed) == 1000
    assert {e["artifactType"] for e in listed} == {BUNDLE}


async def test_a_manifest_of_four_megabytes_in_a_few_long_strings() -> None:
    w = await world()
    giant = image("giant", annotations={"notes": "x" * (4 * MIB - 2000)})
    assert (await w.push(giant, "team/app", "v1")).status == 201
    assert (await w.pull("team/app", "v1")).body == giant.body


async def test_fifty_clients_on_one_digest_gather_once_each_credential_or_less() -> None:
    w = await world(PARTNERS, trusted=(trusted(PARTNER),))
    w.put_behind(APP, "team/app", "v1")
    put_sig(w.registry, "team/app", APP.digest, PARTNER.layer("cosign-simple", APP.digest))
    pulls = [w.pull("team/app", "v1", user(f"u{n}")) for n in range(50)]
    assert all(answer.body == APP.body for answer in await asyncio.gather(*pulls))
    tag = signature_tag(APP.digest)
    assert sum(isinstance(s.operation, PullManifest) and s.operation.reference == tag for s in w.registry.seen) == 1
