"""An image whose layers are only called signatures: podman would unpack and run it, so it must not be exempt.

Here is the half that looks at bytes; that flows ask it for every layer is tested with them.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest

from proxy.formats import carrier
from proxy.formats.format import Layer
from proxy.formats.simple_signing import MEDIA_TYPE, SIGNATURE
from proxy.formats.table import FORMATS, claimed_by
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST, Descriptor, parse
from proxy.oci.reference import digest_of
from tests.worlds.softkey import rewritten, soft_key

IMAGE = digest_of(b"image")
KEY = soft_key()
CLAIMS = sorted(media_type for form in FORMATS.values() for media_type in form.media_types)


def tar(name: str = "bin/sh") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"\x7fELF"))
    return packed.getvalue()


def genuine(form: str) -> Layer:
    return KEY.layer(form, IMAGE)


PAYLOADS = {
    "tar": tar(),
    "gzip": gzip.compress(tar()),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(32),
    "elf": b"\x7fELF" + bytes(60),
    "script": b"#!/bin/sh\n",
    "tar that begins with JSON": tar('{"critical":1}'),
    "empty": b"",
    "null": b"null",
    "object": b"{}",
}


@pytest.mark.parametrize("media_type", CLAIMS)
@pytest.mark.parametrize("what", PAYLOADS)
def test_other_bytes_under_a_signature_media_type(media_type: str, what: str) -> None:
    data = PAYLOADS[what]
    layer = Layer(Descriptor(media_type, digest_of(data), len(data), {SIGNATURE: "QQ=="}), data)
    form = claimed_by(media_type)
    assert form is not None
    assert not form.parses(layer)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("tail", [tar(), b"\0", b"{}", b"\0" * 512, b"\x1f\x8b", b"#"])
def test_a_genuine_signature_with_something_behind_or_before_it(form: str, tail: bytes) -> None:
    layer = genuine(form)
    assert FORMATS[form].parses(layer)
    assert not FORMATS[form].parses(rewritten(layer, layer.data + tail))
    assert not FORMATS[form].parses(rewritten(layer, tail + layer.data))


@pytest.mark.parametrize("form", FORMATS)
def test_the_payload_of_one_format_under_the_type_of_another(form: str) -> None:
    for other in FORMATS.values():
        if other.name != form:
            assert not other.parses(genuine(form))


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dsse.envelope.v1+json",
        "application/vnd.in-toto+json",
        "application/spdx+json",
        "application/vnd.cyclonedx+json",
        "application/vnd.dev.sigstore.bundle.v0.9+json",
        "Application/vnd.dev.cosign.simplesigning.v1+json",
        "application/vnd.dev.cosign.simplesigning.v2+json",
        "application/vnd.dev.cosign.simplesigning.v1+json;tar",
    ],
)
def test_media_types_we_do_not_parse_are_layers_of_an_image(media_type: str) -> None:
    assert claimed_by(media_type) is None
    genuine_one = genuine("cosign-simple").descriptor
    mixed = carrier.sig_manifest(None, [genuine_one, Descriptor(media_type, digest_of(b"x"), 1)])
    assert mixed is not None
    assert not carrier.is_artifact_shape(parse(mixed, OCI_MANIFEST, Limits()))


def test_a_signature_config_over_one_tar_layer() -> None:
    body = carrier.sig_manifest(None, [Descriptor("application/vnd.oci.image.layer.v1.tar", digest_of(tar()), 1)])
    assert body is not None
    assert not carrier.is_artifact_shape(parse(body, OCI_MANIFEST, Limits()))


def test_a_signature_artifact_type_earns_nothing() -> None:
    body = carrier.sig_manifest(None, [Descriptor("application/vnd.oci.image.layer.v1.tar", digest_of(tar()), 1)])
    assert body is not None
    claimed = {**json.loads(body), "artifactType": MEDIA_TYPE, "subject": json.loads(body)["config"]}
    assert not carrier.is_artifact_shape(parse(json.dumps(claimed).encode(), OCI_MANIFEST, Limits()))


def test_a_config_that_could_start_something() -> None:
    runnable = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/sh"]}, "rootfs": {}}
    assert not carrier.config_parses(json.dumps(runnable).encode())
    assert not carrier.config_parses(tar())
