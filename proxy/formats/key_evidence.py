"""Key evidence: our record of a key, as a text that the key itself signs.

The text begins with a line that identifies its kind: it cannot be mistaken for a payload of cosign or the Notary
Project (JSON, base64url or CBOR), an in-toto statement (`DSSEv1 ...`), or a certificate (DER).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

KIND = "countersign key evidence v1"
# The exact commands, for a reader who has only the JSON file and openssl.
_PART = """python3 -c 'import json; print(json.load(open("evidence.json"))["{}"])'"""
CHECK = (
    f"{_PART.format('public_key')} > key.pem",
    f"{_PART.format('signed')} | openssl base64 -d -A > signed.txt",
    f"{_PART.format('signature')} | openssl base64 -d -A > signature.bin",
    "openssl dgst -sha256 -verify key.pem -signature signature.bin signed.txt",
)


def text_of(document: Mapping[str, Any]) -> bytes:
    """Return the text to sign: a line that identifies its kind, then the document, readable by people too."""
    return f"{KIND}\n{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)}\n".encode()


def document_of(text: bytes) -> Mapping[str, Any]:
    """Return the document in a text. Raises ValueError when the text is of another kind."""
    first, _, rest = text.partition(b"\n")
    if first != KIND.encode():
        raise ValueError(f"not a {KIND}")
    found: Mapping[str, Any] = json.loads(rest)
    return found


def encoded(data: bytes) -> str:
    """Return the bytes in the encoding of the file."""
    return base64.b64encode(data).decode()
