"""Routes about the life of keys, with their request and response types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from proxy.admin.operation import ROOT, Route, Scope
from proxy.admin.shapes import Page, Why
from proxy.oci.duration import parse_span
from proxy.trust.handover import parse_overlap
from proxy.trust.keys import KeyState
from proxy.trust.roles import Permission


def _span(text: str) -> str:
    parse_span(text)
    return text


def _overlap(text: str) -> str:
    parse_overlap(text)
    return text


Span = Annotated[str, AfterValidator(_span)]
Overlap = Annotated[str, AfterValidator(_overlap)]
TokenName = Annotated[str, Field(max_length=63)]


class Activation(Why, strict=True, extra="forbid", frozen=True):
    """A key takes over from another."""

    overlap: Overlap | None = Field(
        default=None,
        description="dual-sign:14d: both sign that long; publish-first:14d: the new one is shown and verifies that "
        "long before it signs; both with a comma, or none. Without it, as it was agreed before or is configured",
    )
    retire_after: Span | None = Field(
        default=None, description="how long after the new key began the old one is retired, such as 30d"
    )


class Making(Why, strict=True, extra="forbid", frozen=True):
    """A new key is made."""

    token: TokenName | None = Field(default=None, description="one of the profile's tokens; without it, the first")


class Rotate(Activation, Making, strict=True, extra="forbid", frozen=True):
    """A new key is made, and takes over."""


class Compromise(Why, strict=True, extra="forbid", frozen=True):
    """A key is in other hands, or may be."""

    rotate: bool = Field(default=False, description="where it is active: first let another key sign")
    since: AwareDatetime | None = Field(
        default=None,
        description="since when others may have had it, with a zone; what our ledger has from before counts where the "
        "policy says trust_ledger. Without it nothing of this key counts. It may be told later, in a second call",
    )


class Lost(Making, strict=True, extra="forbid", frozen=True):
    """A key is gone from its token, and no backup of it."""

    compromised: bool = Field(default=False, description="others may have it: it is compromised; else trusted")
    since: AwareDatetime | None = Field(default=None, description="since when others may have had it")


class KeyShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key of ours."""

    fingerprint: str = Field(description="hex SHA-256 of its SubjectPublicKeyInfo")
    profile: str
    state: KeyState
    since: datetime = Field(description="when it came into this state")
    compromised_since: datetime | None = Field(description="since when others may have had it; null: nobody knows")
    algorithm: str
    token: str
    token_serial: str
    key_id: str = Field(description="hex CKA_ID on the token")
    label: str
    public_key: str = Field(description="PEM")
    activate_at: datetime | None = Field(description="when it becomes active by itself")
    signs_until: datetime | None = Field(description="until when a trusted key signs beside the active one")
    retire_after: datetime | None = Field(
        description="when a trusted key is retired; of a prepared one, this and the last are for the key before it"
    )


class Keys(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of keys."""

    items: tuple[KeyShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class UnrecordedKey(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key on a token of ours that is in no record: it signs nothing."""

    token: str
    label: str
    fingerprint: str


class UnrecordedKeys(BaseModel, strict=True, extra="forbid", frozen=True):
    """What lies on the tokens beside the record."""

    items: tuple[UnrecordedKey, ...]
    not_looked: str = Field(default="", description="why the tokens were not looked at; empty where they were")


class Rotation(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a rotation came to."""

    old: KeyShown | None = Field(description="the key that signed before, or still does; it verifies on")
    new: KeyShown = Field(description="the key that signs from now on, or from `activate_at`")


class Replaced(BaseModel, strict=True, extra="forbid", frozen=True):
    """What became of a lost key."""

    old: KeyShown = Field(description="the lost key; it signs no more")
    new: KeyShown | None = Field(description="the key that signs from now on in its place; null where nothing had to")


_SECOND = frozenset({"rotate", "activate", "compromise", "lost"})  # routes that need a second person under dual control


def _key(verb: str, place: str, says: str, gives: type[BaseModel] = KeyShown, body: type[BaseModel] = Why) -> Route:
    path = f"{ROOT}/keys/{{{place}}}/{verb}"
    two = verb in _SECOND
    return Route(
        f"{verb}_key", "POST", path, Permission.CHANGE_KEYS, says, gives, body=body, plans=True, dual_control=two
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "list_keys", "GET", f"{ROOT}/keys", Permission.KEYS, "Our keys and their states.", Keys, Page,
        scope=Scope.NEUTRAL,
    ),
    Route(
        "list_strays", "GET", f"{ROOT}/keys/unrecorded", Permission.KEYS,
        "Keys on our tokens that are in no record.", UnrecordedKeys, scope=Scope.NEUTRAL,
    ),
    _key("rotate", "profile", "Make a key that signs for this profile from now on.", Rotation, Rotate),
    _key("prepare", "profile", "Make a key that verifies, and signs once it is activated.", body=Making),
    _key("activate", "fingerprint", "Let this prepared key sign from now on.", Rotation, Activation),
    _key("retire", "fingerprint", "Let this key no longer count."),
    _key("compromise", "fingerprint", "Distrust a key that others may have.", body=Compromise),
    _key("lost", "fingerprint", "Let another key take the place of one that is lost.", Replaced, Lost),
)  # fmt: skip
