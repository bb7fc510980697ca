"""Many clients push at once: one signature for each, no list loses an entry, and everybody gets 201."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.oci.reference import Digest, fallback_tag, signature_tag
from tests.interop.handmade import Handmade
from tests.interop.shared import Here
from tests.interop.wire import OCI_MANIFEST, ask, manifest

pytestmark = pytest.mark.go
CLIENTS = 50


def test_fifty_push_one_digest(anywhere: Here) -> None:
    """One signature per key, format and bound reference, in the ledger and in what is upstream."""
    here = anywhere
    by_hand = Handmade(here.proxy.upstream.host, here.repository)
    digest = by_hand.image("hello")["digest"]
    body = manifest(here.proxy.upstream.host, here.repository, digest).body

    def push(number: int) -> int:
        path = f"/v2/{here.repository}/manifests/{'1' if number % 2 else digest}"
        return ask(here.proxy.host, "PUT", path, body, {"Content-Type": OCI_MANIFEST}).status

    with ThreadPoolExecutor(CLIENTS) as several:
        assert set(several.map(push, range(CLIENTS))) == {201}
    name = here.name("")
    assert sorted(here.proxy.signatures(here.repository)) == [
        (digest, "cosign-simple", name),
        (digest, "cosign-simple", f"{name}:1"),
        (digest, "sigstore-bundle", name),
    ]
    sig = manifest(here.proxy.upstream.host, here.repository, signature_tag(Digest(digest)))
    assert len(sig.json()["layers"]) == 2
    listed = ask(here.proxy.host, "GET", f"/v2/{here.repository}/referrers/{digest}").json()["manifests"]
    assert len(listed) == 1
    here.verifiers.accept(here.repository, "1", digest)


def test_fifty_tags_on_one_digest(here: Here) -> None:
    """The list stays bounded, and holds for the newest tags and for the digest."""
    by_hand = Handmade(here.proxy.upstream.host, here.repository)
    digest = by_hand.image("hello")["digest"]
    body = manifest(here.proxy.upstream.host, here.repository, digest).body

    def push(number: int) -> int:
        path = f"/v2/{here.repository}/manifests/t{number}"
        return ask(here.proxy.host, "PUT", path, body, {"Content-Type": OCI_MANIFEST}).status

    with ThreadPoolExecutor(8) as several:
        assert set(several.map(push, range(CLIENTS))) == {201}
    assert push(CLIENTS) == 201
    sig = manifest(here.proxy.upstream.host, here.repository, signature_tag(Digest(digest)))
    assert len(sig.json()["layers"]) == 32
    here.verifiers.accept(here.repository, f"t{CLIENTS}", digest)


def test_two_people_attach_at_once(anywhere: Here) -> None:
    """Each of many referrers is listed, whoever wrote the list."""
    here = anywhere
    through = Handmade(here.proxy.host, here.repository)
    image = through.image("hello", "1")
    empty = through.blob(b"{}", "application/vnd.oci.empty.v1+json")

    def attach(number: int) -> str:
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": f"test/note{number}", "config": empty}
        digest: str = through.manifest({**body, "layers": [empty], "subject": image}, OCI_MANIFEST)["digest"]
        return digest

    with ThreadPoolExecutor(8) as several:
        notes = set(several.map(attach, range(16)))
    listed = ask(here.proxy.host, "GET", f"/v2/{here.repository}/referrers/{image['digest']}").json()["manifests"]
    assert notes < {entry["digest"] for entry in listed}
    if here.upstream != "referrers":  # upstream alone holds it all too
        tag = fallback_tag(Digest(image["digest"]))
        kept = manifest(here.proxy.upstream.host, here.repository, tag).json()["manifests"]
        assert notes < {entry["digest"] for entry in kept}
        assert {entry["artifactType"] for entry in kept if entry["digest"] in notes} == {
            f"test/note{number}" for number in range(16)
        }


def test_a_list_that_lacks_ours_takes_none_of_them_off(here: Here) -> None:
    """As a client would write it that read `.sig` before we signed: it is taken, and ours stay."""
    through = Handmade(here.proxy.host, here.repository)
    digest = through.image("hello", "1")["digest"]
    tag = signature_tag(Digest(digest))
    before = manifest(here.proxy.host, here.repository, tag)
    assert len(before.json()["layers"]) == 2
    stale = {**before.json(), "layers": before.json()["layers"][:1]}
    through.manifest(stale, OCI_MANIFEST, tag)
    assert manifest(here.proxy.host, here.repository, tag).body == before.body
    fallback = fallback_tag(Digest(digest))
    listed = manifest(here.proxy.host, here.repository, fallback)
    through.manifest({**listed.json(), "manifests": []}, listed.headers["content-type"], fallback)
    assert manifest(here.proxy.host, here.repository, fallback).body == listed.body
    assert here.verifiers.cosign(f"{here.repository}:1").status == 0
