"""Keys as PEM and JWKS, read back by other libraries."""

from __future__ import annotations

import json
import re

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from joserfc.jwk import KeySet

from proxy.exports.published import as_jwks, as_pem
from proxy.trust.keys import fingerprint
from tests.worlds.published import ACTIVE, COUNTING, P384, RSA, SCOPE, release

SPKI = PublicFormat.SubjectPublicKeyInfo


def test_the_pem_file_has_every_key_and_nothing_else() -> None:
    blocks = re.findall(r"-+BEGIN PUBLIC KEY-+\n[^-]+-+END PUBLIC KEY-+\n", as_pem(release(), SCOPE))
    assert "".join(blocks) == as_pem(release(), SCOPE)
    read = {load_pem_public_key(block.encode()).public_bytes(Encoding.DER, SPKI) for block in blocks}
    assert read == {key.spki for key in COUNTING}


def test_joserfc_reads_the_set_and_finds_the_same_keys_in_it() -> None:
    keys = KeySet.import_key_set(json.loads(as_jwks(release(), SCOPE))).keys
    read = {key.kid: key.raw_value.public_bytes(Encoding.DER, SPKI) for key in keys}  # type: ignore[union-attr]
    assert read == {fingerprint(key.spki): key.spki for key in COUNTING}


def test_an_algorithm_is_named_only_where_jose_means_the_same_by_it() -> None:
    named = {jwk["kid"]: jwk.get("alg") for jwk in json.loads(as_jwks(release(), SCOPE))["keys"]}
    found = [named[fingerprint(key.spki)] for key in (ACTIVE, RSA, P384)]
    assert found == ["ES256", "RS256", None]
