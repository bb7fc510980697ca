"""The result of revocation lists at one moment: revoked, not revoked, or not known. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Listing:
    """The statement of one genuine list, in force from `first` to `last`, about one certificate.

    `revoked` is the time of revocation, None if the certificate is not on the list; `invalid` is the time since when
    its key is not to be trusted, if the issuer gives one.
    """

    first: datetime
    last: datetime
    revoked: datetime | None = None
    invalid: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """The statements of all configured lists about one certificate of a chain; `why` explains an empty result."""

    name: str
    listings: tuple[Listing, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Revoked:
    """A certificate of the chain is on its issuer's list; `text` says which and since when."""

    text: str


@dataclass(frozen=True)
class NotKnown:
    """No list in force covers a certificate of the chain: could not look. `text` says which one, and why."""

    text: str


def revocation(chain: Sequence[Listed], now: datetime, signed: datetime | None = None) -> Revoked | NotKnown | None:
    """Return None if, for each certificate, a list in force says that it is not revoked.

    `signed` is a time before which, as a timestamp authority proves, the signature was made: the signature stays good
    if the issuer says that the key was compromised only later. A revocation holds even after its list has expired.
    """
    silent: NotKnown | None = None
    for one in chain:
        begun = [listing for listing in one.listings if listing.first <= now]
        for listing in begun:
            if listing.revoked is not None and not _later(listing, signed):
                return Revoked(f"the certificate of {one.name} was revoked at {_moment(listing.revoked)}")
        if silent is None and not any(now <= listing.last for listing in begun):
            why = one.why or _stale(one.listings, now)
            silent = NotKnown(f"whether the certificate of {one.name} is revoked could not be seen: {why}")
    return silent


def _later(listing: Listing, signed: datetime | None) -> bool:
    return signed is not None and listing.invalid is not None and signed < listing.invalid


def _stale(listings: Sequence[Listing], now: datetime) -> str:
    ended = [listing.last for listing in listings if listing.first <= now]
    if ended:
        return f"its issuer's list ended at {_moment(max(ended))}"
    return f"its issuer's list begins at {_moment(min(listing.first for listing in listings))}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
