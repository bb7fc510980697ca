"""Everything gathered about one subject. A bad signature is a value here, never an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from proxy.oci.faults import Told
from proxy.oci.reference import Digest
from proxy.trust.keys import VERIFYING, KeyState, Verifier
from proxy.trust.reason import Reason
from proxy.trust.revocation import Listed


class Source(StrEnum):
    """Where signatures may live. `ledger` is our own copy of what we wrote."""

    LEDGER = "ledger"
    SIG_TAG = "sig-tag"
    REFERRERS = "referrers"
    PARENTS = "parents"  # indexes that list it: looked at only where it does not stand by itself


@dataclass(frozen=True)
class Proven:
    """The signature was there at a moment between these two, says a timestamp authority that `authority` trusts."""

    authority: str
    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class CertifiedChain:
    """The certificates a signature came with (DER, leaf to root), and who vouches for them by configuration.

    Times are UTC. `valid` is from when until when all of them are, both inclusive: a decision holds it against the
    present, or against what is `proven`. `signed_at` is what the signer says. After `expires` the signature counts no
    more, whatever else holds. What revocation lists say is in `listed`, for each authority that asks for them.
    """

    authorities: tuple[str, ...]
    chain: tuple[bytes, ...] = field(repr=False)
    valid: tuple[datetime, datetime]
    signed_at: datetime
    expires: datetime | None = None
    timestamp: bytes = field(default=b"", repr=False)  # RFC 3161, over `signature`
    signature: bytes = field(default=b"", repr=False)
    proven: tuple[Proven, ...] = ()
    listed: Mapping[str, tuple[Listed, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """One signature that verifies over this subject with a key we were configured to try, or one that is certified.

    `fingerprint` is that of the key, also of one that only an authority vouches for.

    `bound` is what the signed payload itself says it is for (`HOST/REPO` or `HOST/REPO:TAG`), or None;
    `claims` are signed with it (pusher, time). `recorded` is when our own ledger says that we made it: None for what
    was found anywhere else, whatever it says of itself. `state` is set by a decision on it, where the key is ours and
    no longer verified then.
    """

    fingerprint: str
    format: str
    bound: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    recorded: datetime | None = None
    certified: CertifiedChain | None = None
    state: KeyState | None = None


@dataclass(frozen=True)
class Rejected:
    """One signature that does not count, and why.

    `fingerprint` is that of the key that did make it, where that is proven: the reason holds where that key counts.
    """

    reason: Reason
    format: str
    detail: str
    fingerprint: str = ""


SignatureCheck = Verified | Rejected


def reason_for(rejected: Rejected, verifiers: Sequence[Verifier]) -> Reason:
    """Return why this does not count for these keys: what a key of others did sign is untrusted, however it did."""
    if not rejected.fingerprint:
        return rejected.reason
    states = {v.state for v in verifiers if v.fingerprint == rejected.fingerprint}
    if states & VERIFYING:
        return rejected.reason
    if KeyState.COMPROMISED in states:
        return Reason.KEY_COMPROMISED
    return Reason.KEY_RETIRED if states else Reason.UNTRUSTED_KEY


@dataclass(frozen=True)
class SourceResult:
    """We looked at this place; an empty list of findings is a proven absence."""

    place: Source
    findings: tuple[SignatureCheck, ...] = ()


@dataclass(frozen=True)
class CouldNotLook:
    """We could not look at this place. Never the same as nothing being there."""

    place: Source
    why: str
    told: Told = Told.NOTHING

    def says(self) -> tuple[str, str]:
        """Return what operators read of it, and what callers are told."""
        return f"{self.place}: {self.why}", f"{self.place}: {self.told}"


@dataclass(frozen=True)
class NotExamined:
    """More was there than the bound allows us to examine."""

    place: Source
    count: int

    def says(self) -> tuple[str, str]:
        """Return what operators read of it, and what callers are told."""
        text = f"{self.place}: {self.count} more than the bound"
        return text, text


@dataclass(frozen=True)
class Evidence:
    """What every place said about one digest; `allowed_parent` is an index that lists it and is allowed now."""

    subject: Digest
    sources: tuple[SourceResult | CouldNotLook | NotExamined, ...] = ()
    allowed_parent: Digest | None = None
    artifact: bool = False  # every layer was fetched and parsed as the signature format it claims
    referrers_index: bool = False  # under a fallback tag, and everything it lists satisfies the policy by itself
    listed_by: frozenset[Digest] = frozenset()  # indexes above it, of those that a denial or an exception names

    @property
    def verified(self) -> tuple[Verified, ...]:
        """All signatures that verify."""
        return tuple(
            f for p in self.sources if isinstance(p, SourceResult) for f in p.findings if isinstance(f, Verified)
        )

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """All signatures that do not count."""
        return tuple(
            f for p in self.sources if isinstance(p, SourceResult) for f in p.findings if isinstance(f, Rejected)
        )

    @property
    def silence(self) -> tuple[CouldNotLook | NotExamined, ...]:
        """What we do not know."""
        return tuple(p for p in self.sources if not isinstance(p, SourceResult))
