"""The index: complete, the same while nothing changes, and never a signature of an image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

from proxy.exports.index import TYPE, index, signing
from proxy.exports.table import rendered
from proxy.formats import dsse, simple_signing
from proxy.formats.format import Layer
from proxy.formats.table import FORMATS
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import digest_of
from proxy.trust.keys import fingerprint
from tests.worlds.published import ACTIVE, AT, COUNTING, PROFILES, RING, SAYS, SCOPE, TRUSTED, release

FILES = rendered(PROFILES, SCOPE)
SAID = index(RING, PROFILES, FILES, SCOPE)


def test_it_has_every_file_and_key() -> None:
    said = json.loads(SAID)
    assert {f["path"]: f["sha256"] for f in said["files"]} == {
        file.path: hashlib.sha256(file.body).hexdigest() for file in FILES
    }
    assert {k["fingerprint"] for k in said["keys"]} == {fingerprint(key.spki) for key in (*COUNTING, SAYS)}
    assert {k["state"] for k in said["keys"]} == {"active", "trusted", "prepared"}
    assert said["revision"] == RING.revision


def test_it_is_the_same_bytes_every_time() -> None:
    assert index(RING, PROFILES, rendered(PROFILES, SCOPE), SCOPE) == SAID


def test_active_keys_sign_it_and_old_ones_while_they_overlap() -> None:
    assert {key.spki for key in signing(PROFILES, AT)} == {ACTIVE.spki, SAYS.spki}
    until = replace(TRUSTED, signs_until=AT)
    overlapping = (replace(release(), keys=(ACTIVE, until)),)
    assert signing(overlapping, AT - timedelta(seconds=1)) == (ACTIVE, until)
    assert signing(overlapping, AT) == (ACTIVE,)


def test_no_format_takes_it_for_a_signed_message() -> None:
    assert SAID.startswith(b'{"_type":"' + TYPE.encode())
    assert not SAID.startswith(dsse.pae(dsse.IN_TOTO, b"")[:6])
    for form in FORMATS.values():
        for media_type in form.media_types:
            layer = Layer(Descriptor(media_type, digest_of(SAID), len(SAID), {simple_signing.SIGNATURE: "AA=="}), SAID)
            assert not form.parses(layer)
