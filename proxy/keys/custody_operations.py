"""Operations on keys that exist on a token: import, rebind, record a backup, destroy, prove."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from proxy.admin.operation import Call, Command, Option, Row, SavedAs, operation
from proxy.admin.shapes import Affected, Line, Moment, Shape, Why
from proxy.admin.wording import Wanted
from proxy.formats.key_evidence import CHECK, encoded, page
from proxy.keys.shapes import KeyShown, TokenName, shown
from proxy.tokens.inventory_port import TokenInventory
from proxy.tokens.token_key import CONFIRM_DIGITS, may_leave, more_than_signs
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.keys.custody import Sought

Hex = Annotated[
    str, StringConstraints(pattern=r"^([0-9a-fA-F]{2})*$", max_length=64),
    Wanted("write hex digits, two for each byte, such as 01a4"),
]  # fmt: skip
Confirm = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-fA-F]*$", max_length=64),
    Wanted(f"write the first {CONFIRM_DIGITS} hex digits of the key's fingerprint, or more"),
]  # fmt: skip


def _placed(key: Row) -> list[str]:
    where = f"on token {key['token']}, serial {key['token_serial']}"
    return [f"key {key['fingerprint']} of {key['profile']} is {key['state']} {where}"]


class Import(Why, frozen=True):
    """Which key on a token to import: its label, its id or both."""

    label: Annotated[Line | None, Option("LABEL")] = Field(default=None, description="its label on the token")
    id: Annotated[Hex, Option("HEX")] = Field(default="", description="its id on the token (CKA_ID)")
    token: Annotated[TokenName | None, Option("NAME", spelled="--on")] = Field(
        default=None, description="the token, by its name in the configuration; default: the profile's first"
    )
    accept_extractable: Annotated[bool, Option(reads="flag")] = Field(
        default=False, description="import it although it may have copies elsewhere"
    )


async def _plan_import(call: Call) -> tuple[str, ...]:
    from proxy.keys.custody import may_take_in

    profile = call.path_params["profile"]
    held = await may_take_in(profile, _sought(call), call.ports, call.use(TokenInventory))
    name = f"key {fingerprint(held.spki)[:12]}, {held.label!r} (id {held.key_id}) on token {held.token}"
    told = ", ".join(f"{n}={'not told' if v is None else v}" for n, v in held.attributes.items())
    steps = [f"verify that {name}, {held.algorithm}, signs; its attributes: {told}"]
    if (why := may_leave(held.attributes)) is not None:
        steps.append(f"import it although it may have copies elsewhere ({why})")
    if uses := more_than_signs(held.attributes):
        steps.append(
            f"import it although it may do more than sign ({uses}): a signing key should not; turn that off with the "
            "token's own tool if the token lets you"
        )
    return (*steps, f"record it as prepared for {profile}: it verifies, and signs once it is activated")


def _sought(call: Call) -> Sought:
    from proxy.keys.custody import Sought

    body = call.body
    return Sought(body.label or "", body.id, body.token or "", body.accept_extractable)


@operation(
    "POST /keys/{profile}/import", Permission.CHANGE_KEYS, Command("keys import", _placed), plan=_plan_import,
    dual_control=True,
)  # fmt: skip
async def import_key(call: Call, body: Import) -> KeyShown:  # noqa: ARG001  read by `_sought`
    """Import a key that is already on the token, as prepared. It must first prove itself by a signature."""
    from proxy.keys.custody import take_in

    tokens = call.use(TokenInventory)
    return shown(await take_in(call.path_params["profile"], _sought(call), call.actor, call.ports, tokens))


class Rebind(Why, frozen=True):
    """The new location of a key."""

    token: Annotated[TokenName | None, Option("NAME", spelled="--on")] = Field(
        default=None, description="the token, by its name in the configuration; default: the recorded one"
    )


async def _plan_rebind(call: Call) -> tuple[str, ...]:
    from proxy.keys.custody import may_rebind

    which, tokens = call.path_params["fingerprint"], call.use(TokenInventory)
    known, held = await may_rebind(which, call.body.token or "", call.ports, tokens)
    before = f"token {known.token}, serial {known.token_serial}, {known.label!r}"
    now = f"token {held.token}, serial {held.token_serial}, {held.label!r}"
    return (f"verify that {known.described} signs on {now}", f"record that location instead of {before}")


@operation(
    "POST /keys/{fingerprint}/rebind", Permission.CHANGE_KEYS, Command("keys rebind", _placed), plan=_plan_rebind,
    dual_control=True,
)  # fmt: skip
async def rebind_key(call: Call, body: Rebind) -> KeyShown:
    """Record where a key is after its token was replaced. It must first prove itself there by a signature."""
    from proxy.keys.custody import rebind

    which, tokens = call.path_params["fingerprint"], call.use(TokenInventory)
    return shown(await rebind(which, body.token or "", call.actor, call.ports, tokens))


class Backup(Why, frozen=True):
    """The token was backed up with this key on it; the reason says where the backup is."""

    at: Annotated[Moment | None, Option("TIME", reads="since")] = Field(
        default=None, strict=False, description="when (UTC); default: now"
    )


async def _plan_backup(call: Call) -> tuple[str, ...]:
    from proxy.keys.custody import may_be_backed_up

    at = call.body.at
    key = may_be_backed_up(call.path_params["fingerprint"], at, call.ports)
    return (f"record that {key.described} was backed up {'now' if at is None else f'at {at.isoformat()}'}",)


_BACKUP = Command("keys backup-recorded", _placed, reason="which backup, and where it is kept")


@operation("POST /keys/{fingerprint}/backup", Permission.CHANGE_KEYS, _BACKUP, plan=_plan_backup)
async def backup_key(call: Call, body: Backup) -> KeyShown:
    """Record that a key was backed up. Doctor names keys without such a record."""
    from proxy.keys.custody import backed_up

    return shown(await backed_up(call.path_params["fingerprint"], body.at, call.actor, call.ports))


class Destroy(Why, frozen=True):
    """Confirms that this key is the one to destroy."""

    confirm: Annotated[
        Confirm, Option("DIGITS", prompt=f"Type the first {CONFIRM_DIGITS} digits of its fingerprint to destroy it: ")
    ] = Field(default="", description=f"the first {CONFIRM_DIGITS} digits of its fingerprint, or more")


async def _plan_destroy(call: Call) -> tuple[str, ...]:
    from proxy.keys.lifecycle import may_become

    key = may_become(call.path_params["fingerprint"], KeyState.DESTROYED, call.ports)
    where = f"token {key.token}, serial {key.token_serial}"
    return (
        f"verify that {key.described} signs, then destroy both its halves on {where}",
        "record it as destroyed; this cannot be undone; backups of the token still have it",
    )


async def _affects_destroy(call: Call) -> Affected:
    from proxy.keys.affected import only_by
    from proxy.keys.lifecycle import find

    key = find(call.path_params["fingerprint"], call.ports)
    return await only_by(key, call, then="; they are blocked already, and stay so")


@operation(
    "POST /keys/{fingerprint}/destroy", Permission.CHANGE_KEYS, Command("keys destroy", _placed), plan=_plan_destroy,
    affects=_affects_destroy, dual_control=True,
)  # fmt: skip
async def destroy_key(call: Call, body: Destroy) -> KeyShown:
    """Destroy a retired key on its token. This cannot be undone."""
    from proxy.keys.custody import destroy

    which, tokens = call.path_params["fingerprint"], call.use(TokenInventory)
    return shown(await destroy(which, body.confirm, call.actor, call.ports, tokens))


class EvidenceShown(Shape, frozen=True):
    """A statement about a key, signed by the key."""

    signed: str = Field(description="base64 of the signed text: a line that says what it is, then a JSON document")
    signature: str = Field(description="base64; ECDSA as DER or RSA PKCS#1 v1.5, over SHA-256")
    public_key: str = Field(description="PEM")
    fingerprint: str
    at: datetime
    check: tuple[str, ...] = Field(description="commands that verify it, when this object is in evidence.json")


_EVIDENCE = Command(
    "keys evidence",
    lambda row: [f"evidence about key {row['fingerprint']}; save it as evidence.json with --out, then:", *row["check"]],
    saved_as=(
        SavedAs("--out", "write the JSON to this file", lambda row: json.dumps(row, indent=2) + "\n"),
        SavedAs("--html", "write an HTML page to this file", page),
    ),
)


@operation("GET /keys/{fingerprint}/evidence", Permission.JOURNAL, _EVIDENCE)
async def key_evidence(call: Call) -> EvidenceShown:
    """Show the evidence about a key, signed by the key itself. JSON, or a page."""
    from proxy.formats.certificate import pem
    from proxy.keys.evidence import evidence

    made = await evidence(call.path_params["fingerprint"], call.ports, call.use(TokenInventory))
    return EvidenceShown(
        signed=encoded(made.text),
        signature=encoded(made.signature),
        public_key=pem(made.key.spki),
        fingerprint=made.key.fingerprint,
        at=call.now,
        check=CHECK,
    )


OPERATIONS = (import_key, rebind_key, backup_key, destroy_key, key_evidence)
