"""One signature by a private key on the token, made as its mechanism table says. Runs in the child process."""

from typing import Any

from pkcs11 import MGF, Mechanism

from hsm.mechanisms import Way


def raw_signature(key: Any, message: bytes, way: Way) -> bytes:
    """Return the signature as the token makes it: r||s, PKCS#1 v1.5, or PSS with a salt as long as the hash."""
    given: dict[str, Any] = {}
    if way.pss:
        given["mechanism_param"] = (Mechanism[way.digest], MGF[way.digest], way.salt)
    raw: bytes = key.sign(way.prepare(message), mechanism=Mechanism[way.mechanism], **given)
    return raw
