"""Signers that only an authority vouches for: when it counts, and for how many signers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from proxy.trust.authority import Authority
from proxy.trust.evidence import CertifiedChain, Proven, Verified
from proxy.trust.reason import Reason
from proxy.trust.revocation import Listed, NotKnown, Revoked, revocation


def has_expired(signature: Verified, now: datetime) -> bool:
    """True from the expiry that the signer put into the signature itself."""
    expires = signature.certified.expires if signature.certified else None
    return expires is not None and now >= expires


def vouched_for(
    signatures: Iterable[Verified], authorities: Collection[Authority], counted: Collection[str], now: datetime
) -> Iterator[tuple[str, Verified | Reason | NotKnown]]:
    """Yield each signature these authorities vouch for as (signer to count, signature), or why it does not count.

    An authority counts once, however many signers it certifies, and so do two authorities with a common CA; a key that
    counts by itself (`counted`, fingerprints) is not counted again. `NotKnown` is neither: its revocation could not be
    checked.
    """
    taken, issuers = set(counted), set[bytes]()
    for signature in signatures:
        certified = signature.certified
        names = certified.authorities if certified and not has_expired(signature, now) else ()
        judges = [a for a in authorities if a.name in names]
        if certified is None or not judges or signature.fingerprint in taken:
            continue
        said = [(judge, _objection(certified, judge, now)) for judge in judges]
        good = [(judge.fingerprint, _between(certified, judge)) for judge, objection in said if objection is None]
        free = next((each for each in good if each[0] not in taken and issuers.isdisjoint(each[1])), None)
        if free is not None:
            who, through = free
            taken |= {who, signature.fingerprint}
            issuers |= through
            yield who, signature
        elif not good:
            yield signature.fingerprint, min((why for _, why in said if why is not None), key=_weight)


def _between(certified: CertifiedChain, judge: Authority) -> frozenset[bytes]:
    """Return the certificates from the leaf's issuer up to the authority's: each could have issued the leaf."""
    at = next((number for number, der in enumerate(certified.chain) if der in judge.roots), 0)
    return frozenset(certified.chain[1 : at + 1] or certified.chain[:1])


def _objection(certified: CertifiedChain, judge: Authority, now: datetime) -> Reason | NotKnown | None:
    """Return why this authority does not count for the chain at this moment, or None."""
    first, last = certified.valid
    proven = next((p for p in certified.proven if p.authority == judge.name), None)
    was_in_time = proven is not None and first <= proven.earliest and proven.latest <= last
    if judge.crl:
        signed = proven.latest if proven is not None else None
        said = revocation(certified.listed.get(judge.name, _NOTHING), now, signed)
        if isinstance(said, Revoked):
            return Reason.CERTIFICATE_REVOKED
        if said is not None and not judge.allow_unlisted:
            return Reason.CERTIFICATE_EXPIRED if not (was_in_time or first <= now <= last) else said
    return None if was_in_time or first <= now <= last else Reason.CERTIFICATE_EXPIRED


_NOTHING = (Listed("its signer", why="nobody looked"),)


def _weight(objection: Reason | NotKnown) -> int:
    """Return the order in which to report these: certain and bad first."""
    if isinstance(objection, NotKnown):
        return 1
    return 0 if objection is Reason.CERTIFICATE_REVOKED else 2


def certified_as_json(certified: CertifiedChain) -> dict[str, Any]:
    """Return the part of the certificates stored with a decision; `certified_from_json` reverses this."""
    return {
        "authorities": list(certified.authorities),
        "valid": [at.isoformat() for at in certified.valid],
        "signed_at": certified.signed_at.isoformat(),
        "expires": certified.expires.isoformat() if certified.expires else None,
        "proven": [[p.authority, p.earliest.isoformat(), p.latest.isoformat()] for p in certified.proven],
    }


def certified_from_json(data: Mapping[str, Any] | None) -> CertifiedChain | None:
    """Return the chain that `certified_as_json` wrote. Raises KeyError or ValueError on anything else."""
    if data is None:
        return None
    first, last = map(datetime.fromisoformat, data["valid"])
    expires = datetime.fromisoformat(data["expires"]) if data["expires"] else None
    signed_at = datetime.fromisoformat(data["signed_at"])
    proven = tuple(Proven(who, *map(datetime.fromisoformat, moments)) for who, *moments in data.get("proven", ()))
    return CertifiedChain(tuple(data["authorities"]), (), (first, last), signed_at, expires, proven=proven)
