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

# Claims of a signature that was made later, for what was upstream already: who asked for it, and why.
LATER_BY, LATER_REASON = "signed-later-by", "reason"


class Source(StrEnum):
    """Where signatures may be found. `ledger` is our own copy of the signatures we made."""

    LEDGER = "ledger"
    SIG_TAG = "sig-tag"
    REFERRERS = "referrers"
    PARENTS = "parents"  # indexes that list the image: examined only if it does not pass by itself


@dataclass(frozen=True)
class Proven:
    """Proof by a timestamp authority that `authority` trusts: the signature existed at a time between these two."""

    authority: str
    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class CertifiedChain:
    """The certificates of a signature (DER, leaf to root), and the configured authorities that vouch for them.

    Times are UTC. `valid` is the period in which all certificates are valid, both ends inclusive: a decision compares
    it with the present, or with the `proven` times. `signed_at` is the signer's claim. After `expires` the signature
    never counts. `listed` holds the entries of revocation lists, for each authority that requires them.
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
    """One signature over this subject that verifies with a configured key, or with a certified one.

    `fingerprint` identifies the key, also one that only an authority vouches for.

    `bound` is the signed payload's own statement of what it is for (`HOST/REPO` or `HOST/REPO:TAG`), or None; `claims`
    are signed with it (pusher, time; or who had it signed later, and why). `recorded` is the time at which our own
    ledger says that we made it: None for signatures found elsewhere, whatever they claim. `state` is set by a decision
    when the key is ours and no longer verifies.
    """

    fingerprint: str
    format: str
    bound: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    recorded: datetime | None = None
    certified: CertifiedChain | None = None
    state: KeyState | None = None

    @property
    def signed_later(self) -> str:
        """Who had it signed later, and why, in words; empty if its claims do not say that it was signed later."""
        by, why = self.claims.get(LATER_BY, ""), self.claims.get(LATER_REASON, "")
        return f"signed later by {by}{f': {why}' if why else ''}" if by else ""

    @property
    def told_claims(self) -> Mapping[str, str]:
        """The claims that `signed_later` does not say."""
        said = {LATER_BY, LATER_REASON} if self.signed_later else set()
        return {name: value for name, value in self.claims.items() if name not in said}


@dataclass(frozen=True)
class Rejected:
    """One signature that does not count, and why.

    `fingerprint` identifies the key that made it, if proven: the reason then applies only where that key counts.
    """

    reason: Reason
    format: str
    detail: str
    fingerprint: str = ""


SignatureCheck = Verified | Rejected


def reason_for(rejected: Rejected, verifiers: Sequence[Verifier]) -> Reason:
    """Return why the signature does not count for these keys; a signature by any other key is untrusted."""
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
    """The source was searched; an empty list of findings is a proven absence."""

    place: Source
    findings: tuple[SignatureCheck, ...] = ()


@dataclass(frozen=True)
class CouldNotLook:
    """The source could not be searched. Never the same as an empty result."""

    place: Source
    why: str
    told: Told = Told.NOTHING

    def says(self) -> tuple[str, str]:
        """Return the text for operators and the text for callers."""
        return f"{self.place}: {self.why}", f"{self.place}: {self.told}"


@dataclass(frozen=True)
class NotExamined:
    """The source holds more signatures than the bound allows us to examine."""

    place: Source
    count: int

    def says(self) -> tuple[str, str]:
        """Return the text for operators and the text for callers."""
        text = f"{self.place}: {self.count} more than the bound"
        return text, text


@dataclass(frozen=True)
class Evidence:
    """What every source said about one digest; `allowed_parent` is an index that lists it and is allowed now."""

    subject: Digest
    sources: tuple[SourceResult | CouldNotLook | NotExamined, ...] = ()
    allowed_parent: Digest | None = None
    artifact: bool = False  # every layer was fetched and parsed as the signature format it claims
    referrers_index: bool = False  # under a fallback tag, and each of its entries satisfies the policy by itself
    listed_by: frozenset[Digest] = frozenset()  # the indexes above it that a denial or an exception names

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
        """The sources that were not searched, or not completely."""
        return tuple(p for p in self.sources if not isinstance(p, SourceResult))
