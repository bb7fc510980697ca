"""What the real notation wrote is what we say it is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.formats import carrier, notary
from proxy.formats.format import Layer
from proxy.formats.identity import parse_subject
from proxy.formats.table import announces_signatures, claimed_by
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest, parse
from proxy.oci.reference import Digest, digest_of
from proxy.trust.authority import Authority
from proxy.trust.evidence import Rejected, SignatureCheck, Verified
from proxy.trust.reason import Reason
from tests.vectors import notation
from tests.worlds.certificates import certified
from tests.worlds.softkey import rewritten

HERE = Path(notation.__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.json"))


@dataclass(frozen=True)
class Vector:
    """What notation left in a registry, and the certificates of the CA that certified it."""

    subject: Digest
    manifest: Manifest
    index: Manifest
    layer: Layer
    roots: frozenset[bytes]

    def examined(
        self, layer: Layer | None = None, subject: Digest | None = None, *, trusted: bool = True
    ) -> SignatureCheck:
        form = claimed_by(self.layer.descriptor.media_type)
        assert form is not None
        roots = self.roots if trusted else frozenset(certified().chain)
        known = Authority("vendor", roots, (parse_subject("C=DE, ST=Berlin, O=Example"),))
        [finding] = form.examine(layer or self.layer, subject or self.subject, [], [known])
        return finding


def load(name: str) -> Vector:
    raw = json.loads((HERE / f"{name}.json").read_text())
    manifest = parse(raw["manifest"].encode(), OCI_MANIFEST, Limits())
    return Vector(
        Digest(raw["subject"]),
        manifest,
        parse(raw["index"].encode(), OCI_INDEX, Limits()),
        Layer(manifest.layers[0], base64.b64decode(raw["layer"])),
        frozenset(base64.b64decode(root) for root in raw["roots"]),
    )


def test_each_envelope_and_each_kind_of_key() -> None:
    assert NAMES == ["cose-p256", "cose-p384", "cose-rsa", "jws-p256", "jws-p384", "jws-rsa"]


@pytest.mark.parametrize("name", NAMES)
def test_shape(name: str) -> None:
    vector = load(name)
    assert carrier.is_artifact_shape(vector.manifest)
    assert carrier.config_to_check(vector.manifest) is None
    assert vector.manifest.artifact_type is None, "the older shape: it is named by its config"
    entry = carrier.referrer(vector.manifest, digest_of(b""), 0)
    assert entry.artifact_type == notary.ARTIFACT_TYPE
    assert notary.THUMBPRINTS in entry.annotations
    [listed] = vector.index.children
    assert announces_signatures(listed.artifact_type or "")
    form = claimed_by(vector.layer.descriptor.media_type)
    assert form is not None
    assert digest_of(vector.layer.data) == vector.layer.descriptor.digest
    assert form.parses(vector.layer)
    assert form.subject_of(vector.layer) == vector.subject


@pytest.mark.parametrize("name", NAMES)
def test_verified_by_the_authority_and_by_nobody_else(name: str) -> None:
    vector = load(name)
    finding = vector.examined()
    assert isinstance(finding, Verified)
    assert (finding.bound, finding.claims) == (None, {"build": "7"})
    assert finding.certified is not None
    assert finding.certified.authorities == ("vendor",)
    assert finding.certified.expires is not None
    stranger = vector.examined(trusted=False)
    assert isinstance(stranger, Rejected)
    assert stranger.reason is Reason.UNTRUSTED_KEY


@pytest.mark.parametrize("name", NAMES)
def test_no_byte_of_it_can_be_changed_but_the_name_of_the_tool(name: str) -> None:
    vector = load(name)
    other = vector.examined(subject=digest_of(b"another image"))
    assert isinstance(other, Rejected)
    assert other.reason is Reason.WRONG_SUBJECT
    data = vector.layer.data
    for at in range(0, len(data), max(len(data) // 200, 1)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        finding = vector.examined(rewritten(vector.layer, changed))
        assert isinstance(finding, Rejected) or b"signingAgent" in data[max(at - 60, 0) : at], at
