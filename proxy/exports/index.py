"""The signed index of the exports: the published keys, and the hash of every file made from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import rfc8785

from proxy.exports.published import Profile, Scope
from proxy.exports.table import Rendered
from proxy.trust.keys import BookKey, KeyRing, KeyState

# The first word of the signed bytes. A statement in a DSSE envelope is signed as `DSSEv1 ...`, a simple signature is an
# object of `critical` and `optional`, a JWS is base64 and a COSE structure an array: none of them begins with this
# word.
TYPE = "countersign/trust-index/v1"


def index(ring: KeyRing, profiles: Sequence[Profile], files: Sequence[Rendered], scope: Scope) -> bytes:
    """Return the index as canonical JSON (RFC 8785), without times: its bytes change only with its content."""
    said: dict[str, Any] = {
        "_type": TYPE,
        "hosts": list(scope.hosts),
        "revision": ring.revision,
        "keys": [
            {
                "profile": profile.name,
                "purpose": "attestation" if profile.attesting else "image",
                "fingerprint": key.fingerprint,
                "state": key.state.value,
                "since": key.since.isoformat(),
            }
            for profile in profiles
            for key in profile.keys
        ],
        "files": [
            {"path": file.path, "media_type": file.media_type, "sha256": hashlib.sha256(file.body).hexdigest()}
            for file in files
        ],
    }
    return rfc8785.dumps(said)


def signing(profiles: Sequence[Profile], now: datetime) -> tuple[BookKey, ...]:
    """Return the keys that sign the index: each profile's active keys, and old keys that still sign beside them.

    A reader who knows only the old key learns the new key from its signature, as long as the two overlap.
    """
    return tuple(key for profile in profiles for key in profile.keys if _signs(key, now))


def _signs(key: BookKey, now: datetime) -> bool:
    overlapping = key.state is KeyState.TRUSTED and key.signs_until is not None and now < key.signs_until
    return key.state is KeyState.ACTIVE or overlapping
