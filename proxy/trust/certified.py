"""Signers that only an authority vouches for: when its word counts, and for how many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from proxy.trust.authority import Authority
from proxy.trust.evidence import Certified, Verified
from proxy.trust.reason import Reason


def has_expired(signature: Verified, now: datetime) -> bool:
    """True from the moment on that its signer put into the signature itself."""
    expires = signature.certified.expires if signature.certified else None
    return expires is not None and now >= expires


def vouched_for(
    signatures: Iterable[Verified], authorities: Collection[Authority], counted: Collection[str], now: datetime
) -> Iterator[tuple[str, Verified | Reason]]:
    """Go through what these authorities vouch for: (whom to count it as, the signature), or why it does not count.

    An authority is counted once, however many it certifies; a key that counts by itself (`counted`, fingerprints) is
    not counted again.
    """
    taken = set(counted)
    for signature in signatures:
        certified = signature.certified
        names = certified.authorities if certified and not has_expired(signature, now) else ()
        judges = [a.fingerprint for a in authorities if a.name in names]
        if certified is None or not judges or signature.fingerprint in taken:
            continue
        if not _in_time(certified, now):
            yield signature.fingerprint, Reason.CERTIFICATE_EXPIRED
        elif (free := next((judge for judge in judges if judge not in taken), None)) is not None:
            taken |= {free, signature.fingerprint}
            yield free, signature


def _in_time(certified: Certified, now: datetime) -> bool:
    first, last = certified.valid
    return first <= (certified.proven_at or now) <= last


def certified_as_json(certified: Certified) -> dict[str, Any]:
    """Return what is kept of certificates with a decision; `certified_from_json` gives the same back."""
    return {
        "authorities": list(certified.authorities),
        "valid": [at.isoformat() for at in certified.valid],
        "signed_at": certified.signed_at.isoformat(),
        "expires": certified.expires.isoformat() if certified.expires else None,
        "proven_at": certified.proven_at.isoformat() if certified.proven_at else None,
    }


def certified_from_json(data: Mapping[str, Any] | None) -> Certified | None:
    """Return what `certified_as_json` wrote. Raises KeyError or ValueError on anything else."""
    if data is None:
        return None
    first, last = map(datetime.fromisoformat, data["valid"])
    expires, proven = (datetime.fromisoformat(data[name]) if data[name] else None for name in ("expires", "proven_at"))
    signed_at = datetime.fromisoformat(data["signed_at"])
    return Certified(tuple(data["authorities"]), (), (first, last), signed_at, expires, proven_at=proven)
