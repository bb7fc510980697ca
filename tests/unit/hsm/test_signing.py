from dataclasses import dataclass, field
from typing import Any

from pkcs11 import MGF, Mechanism

from hsm.mechanisms import ALGORITHMS, way_to_sign
from hsm.signing import raw_signature


@dataclass
class Key:
    """A private key that remembers what it was asked."""

    asked: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)

    def sign(self, data: bytes, **given: Any) -> bytes:
        self.asked.append((data, given))
        return b"signature"


def test_pss_says_hash_mask_and_salt_and_nothing_else_does() -> None:
    key = Key()
    for name, listed in (("rsa-4096", {"SHA512_RSA_PKCS_PSS"}), ("ecdsa-p256", {"ECDSA_SHA256"})):
        assert raw_signature(key, b"m", way_to_sign(ALGORITHMS[name], listed, "jose")) == b"signature"
    assert key.asked == [
        (b"m", {"mechanism": Mechanism.SHA512_RSA_PKCS_PSS, "mechanism_param": (Mechanism.SHA512, MGF.SHA512, 64)}),
        (b"m", {"mechanism": Mechanism.ECDSA_SHA256}),
    ]
