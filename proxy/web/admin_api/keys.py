"""The routes about keys, and what they take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, Field

from proxy.trust.keys import KeyState
from proxy.trust.roles import Permission
from proxy.web.admin_api.route import ROOT, Reach, Route
from proxy.web.admin_api.shapes import Page, Why


class Compromise(Why, strict=True, extra="forbid", frozen=True):
    """A key is in other hands, or may be."""

    rotate: bool = Field(default=False, description="where it is active: first let another key sign")
    since: AwareDatetime | None = Field(
        default=None,
        description="since when others may have had it, with a zone; what our ledger has from before counts where the "
        "policy says trust_ledger. Without it nothing of this key counts. It may be told later, in a second call",
    )


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


class Keys(BaseModel, strict=True, extra="forbid", frozen=True):
    """A page of keys."""

    items: tuple[KeyShown, ...]
    next: int | None = Field(description="`skip` of the next page; null on the last")


class Stray(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key on a token of ours that is in no record: it signs nothing."""

    token: str
    label: str
    fingerprint: str


class Strays(BaseModel, strict=True, extra="forbid", frozen=True):
    """What lies on the tokens beside the record."""

    items: tuple[Stray, ...]
    not_looked: str = Field(default="", description="why the tokens were not looked at; empty where they were")


class Rotation(BaseModel, strict=True, extra="forbid", frozen=True):
    """What a rotation came to."""

    old: KeyShown | None = Field(description="the key that signed before; it verifies on")
    new: KeyShown = Field(description="the key that signs from now on")


def _key(verb: str, place: str, says: str, gives: type[BaseModel] = KeyShown, body: type[BaseModel] = Why) -> Route:
    path = f"{ROOT}/keys/{{{place}}}/{verb}"
    return Route(f"{verb}_key", "POST", path, Permission.CHANGE_KEYS, says, gives, body=body, plans=True)


ROUTES: tuple[Route, ...] = (
    Route(
        "list_keys", "GET", f"{ROOT}/keys", Permission.KEYS, "Our keys and their states.", Keys, Page,
        reach=Reach.NEUTRAL,
    ),
    Route(
        "list_strays", "GET", f"{ROOT}/keys/unrecorded", Permission.KEYS,
        "Keys on our tokens that are in no record.", Strays, reach=Reach.NEUTRAL,
    ),
    _key("rotate", "profile", "Make a key that signs for this profile from now on.", Rotation),
    _key("prepare", "profile", "Make a key that verifies, and signs once it is activated."),
    _key("activate", "fingerprint", "Let this prepared key sign from now on.", Rotation),
    _key("retire", "fingerprint", "Let this key no longer count."),
    _key("compromise", "fingerprint", "Distrust a key that others may have.", body=Compromise),
)  # fmt: skip
