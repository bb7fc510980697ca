"""Routes about keys on tokens: their tokens and evidence, import, rebinding, backup and destruction."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from proxy.admin.operation import ROOT, Route
from proxy.admin.shapes import Line, Why
from proxy.keys.routes import KeyShown
from proxy.trust.roles import Permission

Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-fA-F]{2})*$", max_length=64)]
Confirm = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]*$", max_length=64)]


class Import(Why, strict=True, extra="forbid", frozen=True):
    """Which key on a token is meant; label, id or both."""

    label: Line | None = Field(default=None, description="its label on the token")
    id: Hex = Field(default="", description="its CKA_ID, hex")
    token: Line | None = Field(
        default=None, description="the token, by its name here; the profile's first when left out"
    )
    accept_extractable: bool = Field(default=False, description="take it although it may have copies elsewhere")


class Rebind(Why, strict=True, extra="forbid", frozen=True):
    """Where the key is now."""

    token: Line | None = Field(default=None, description="the token, by its name here; the recorded one when left out")


class Backup(Why, strict=True, extra="forbid", frozen=True):
    """That the token was backed up with this key on it; the reason says where the backup is."""

    at: AwareDatetime | None = Field(default=None, strict=False, description="when; now when left out")


class Destroy(Why, strict=True, extra="forbid", frozen=True):
    """That this key, and no other, is meant."""

    confirm: Confirm = Field(default="", description="the first 12 digits of its fingerprint, or more")


class EvidenceShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """What is known of a key, signed by it."""

    signed: str = Field(
        description="base64 of the text that was signed: a line saying what it is, then a JSON document"
    )
    signature: str = Field(description="base64; ECDSA as DER or RSA PKCS#1 v1.5, over SHA-256")
    public_key: str = Field(description="PEM")
    fingerprint: str
    at: datetime
    check: tuple[str, ...] = Field(description="commands that verify it, when this object is in evidence.json")


def _change(verb: str, place: str, says: str, body: type[BaseModel]) -> Route:
    path = f"{ROOT}/keys/{{{place}}}/{verb}"
    two = verb != "backup"  # recording a backup affects neither signing nor verification
    return Route(
        f"{verb}_key", "POST", path, Permission.CHANGE_KEYS, says, KeyShown, body=body, plans=True, dual_control=two
    )


ROUTES: tuple[Route, ...] = (
    _change("import", "profile", "Take in a key that is on the token already; it becomes prepared.", Import),
    _change("rebind", "fingerprint", "Find this key again on another token after a restore or replacement.", Rebind),
    _change("backup", "fingerprint", "Note that this key has been backed up.", Backup),
    _change("destroy", "fingerprint", "Destroy both halves of this retired key on its token.", Destroy),
    Route(
        "key_evidence", "GET", f"{ROOT}/keys/{{fingerprint}}/evidence", Permission.JOURNAL,
        "What token and journal say of this key, signed by it.", EvidenceShown,
    ),
)  # fmt: skip
