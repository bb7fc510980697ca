"""Key profiles as they are in the middle of a rotation, for what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime

from proxy.exports.published import Profile, Scope, profiles_of
from proxy.trust.keys import BookKey, KeyRing, KeyState, fingerprint
from tests.worlds.softkey import soft_key

AT = datetime(2026, 11, 1, tzinfo=UTC)
SCOPE = Scope(("r.example", "old.example:5000"), "https://r.example")


def key(state: KeyState, profile: str = "release", kind: str = "p256") -> BookKey:
    """A new key of that profile in that state."""
    spki = soft_key(kind).spki
    return BookKey(profile, "token", "1", fingerprint(spki)[:8], profile, kind, spki, state, AT)


ACTIVE, TRUSTED, PREPARED = (key(state) for state in (KeyState.ACTIVE, KeyState.TRUSTED, KeyState.PREPARED))
RSA, P384 = key(KeyState.TRUSTED, kind="rsa"), key(KeyState.TRUSTED, kind="p384")
RETIRED, COMPROMISED = key(KeyState.RETIRED), key(KeyState.COMPROMISED)
SAYS = key(KeyState.ACTIVE, "attestation")
COUNTING = (ACTIVE, TRUSTED, PREPARED, RSA, P384)
RING = KeyRing("revision-1", (*COUNTING, RETIRED, COMPROMISED, SAYS))
PROFILES = profiles_of(RING, {"release": False, "attestation": True})


def release() -> Profile:
    """The profile that signs images."""
    return next(profile for profile in PROFILES if profile.name == "release")
