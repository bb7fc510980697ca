"""What operations on keys take and give, and how commands print it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from proxy.admin.operation import Option, Row
from proxy.admin.paging import Paged
from proxy.admin.shapes import Moment, Shape, Why, filled
from proxy.admin.wording import Wanted
from proxy.oci.duration import minute, parse_span
from proxy.trust.keys import VERIFYING, BookKey, KeyState
from proxy.trust.schedule import parse_overlap


def _span(text: str) -> str:
    parse_span(text)
    return text


def _overlap(text: str) -> str:
    parse_overlap(text)
    return text


Span = Annotated[str, AfterValidator(_span)]
Overlap = Annotated[
    str, AfterValidator(_overlap), Wanted("write dual-sign:14d, publish-first:14d, both with a comma, or none")
]
TokenName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
    Wanted("write the name of a token, as under `tokens` in the configuration"),
]  # fmt: skip


class Activation(Why, frozen=True):
    """The terms under which a key takes over from another."""

    overlap: Annotated[Overlap | None, Option("HOW")] = Field(
        default=None,
        description="dual-sign:14d: both keys sign that long; publish-first:14d: the new key is published and verifies "
        "that long before it signs; both with a comma, or none. Default: as set at its preparation, or as configured",
    )
    retire_after: Annotated[Span | None, Option("SPAN")] = Field(
        default=None, description="retire the old key that long after the new one begins, such as 30d"
    )


class Making(Why, frozen=True):
    """The request for a new key."""

    token: Annotated[TokenName | None, Option("NAME", spelled="--on")] = Field(
        default=None, description="one of the profile's tokens; default: the first"
    )


class Rotate(Activation, Making, frozen=True):
    """The request for a new key that takes over."""


class Compromise(Why, frozen=True):
    """The report that others have a key, or may have it."""

    rotate: Annotated[bool, Option(reads="flag")] = Field(
        default=False, description="let another key sign first, if this one is active"
    )
    since: Annotated[Moment | None, Option("TIME", reads="time")] = Field(
        default=None,
        description="since when others may have it, with a zone: 2027-01-31T08:00:00Z. Earlier signatures in our "
        "ledger count where the policy says trust_ledger. Without it none of its signatures counts; a later call may "
        "add it",
    )


class Lost(Making, frozen=True):
    """The report that a token has lost a key, without a backup."""

    compromised: Annotated[bool, Option(reads="flag")] = Field(
        default=False, description="others may have the key: none of its signatures counts; else it stays trusted"
    )
    since: Annotated[Moment | None, Option("TIME", reads="time")] = Field(
        default=None, description="of a compromised key: since when others may have it"
    )


class KeyShown(Shape, frozen=True):
    """A key of ours."""

    fingerprint: str = Field(description="hex SHA-256 of its SubjectPublicKeyInfo")
    profile: str
    state: KeyState
    since: datetime = Field(description="when it entered this state")
    created: datetime | None = Field(
        default=None, description="in the list: when it came into the key book, by the journal; null: unknown"
    )
    compromised_since: datetime | None = Field(description="since when others may have had it; null: unknown")
    algorithm: str
    token: str
    token_serial: str
    key_id: str = Field(description="hex CKA_ID on the token")
    label: str
    public_key: str = Field(description="PEM")
    activate_at: datetime | None = Field(description="when it becomes active automatically")
    signs_until: datetime | None = Field(description="until when a trusted key signs beside the active one")
    retire_after: datetime | None = Field(
        description="when a trusted key is retired; on a prepared key, this and `signs_until` are for its predecessor"
    )


class Keys(Paged, frozen=True):
    """A page of keys, oldest first."""

    items: tuple[KeyShown, ...]


class UnrecordedKey(Shape, frozen=True):
    """A key on one of our tokens that is not in the key book: it signs nothing."""

    token: str
    label: str
    fingerprint: str


class UnrecordedKeys(Shape, frozen=True):
    """Keys on our tokens that are not in the key book."""

    items: tuple[UnrecordedKey, ...]
    not_looked: str = Field(default="", description="why the tokens could not be examined; empty: they were")


class Rotation(Shape, frozen=True):
    """The result of a rotation."""

    old: KeyShown | None = Field(description="the key that signed before, or still does; it still verifies")
    new: KeyShown = Field(description="the key that signs from now on, or from `activate_at`")


class Replaced(Shape, frozen=True):
    """The result of giving up a lost key."""

    old: KeyShown = Field(description="the lost key; it no longer signs")
    new: KeyShown | None = Field(description="the key that signs in its place; null: none was needed")


def shown(key: BookKey, created: datetime | None = None) -> KeyShown:
    """Return the key in the form of the admin API."""
    from proxy.formats.certificate import pem

    ends = (key.signs_until, key.retire_after) if key.state in VERIFYING else (None, None)
    more = {"public_key": pem(key.spki), "signs_until": ends[0], "retire_after": ends[1], "created": created}
    return filled(KeyShown, key, **more)


def table(keys: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the keys as a table, each with its next scheduled change."""
    head = ("PROFILE", "KEY", "STATE", "SINCE", "CREATED", "ALGORITHM", "TOKEN", "LABEL", "THEN")
    return [head, *map(_row, keys)]


def _row(key: Row) -> tuple[str, ...]:
    names = ("profile", "fingerprint", "state", "since", "created", "algorithm", "token", "label")
    created = str(key["created"])[:10] if key["created"] else "unknown"
    cells = {**key, "fingerprint": str(key["fingerprint"])[:12], "since": minute(key["since"]), "created": created}
    return (*(str(cells[name]) for name in names), _then(key))


def _then(key: Row) -> str:
    if key["state"] == "prepared" and key["activate_at"]:
        return f"active at {minute(key['activate_at'])}"
    ends = (("signs until", key["signs_until"]), ("retired at", key["retire_after"]))
    return ", ".join(f"{what} {minute(at)}" for what, at in ends if at and key["state"] == "trusted")


def unrecorded(row: Row) -> list[str]:
    """Return a line for each key that the key book does not have, with what to do."""
    lines = [
        f"NOT RECORDED: key {key['fingerprint'][:12]}, {key['label']!r} on token {key['token']}: it is not in the key "
        f"book and signs nothing. To use it: countersign keys import PROFILE --label {shlex.quote(key['label'])} "
        f"--on {key['token']} --reason TEXT. One that `countersign init` made for a token that stands by is recorded "
        "when the server starts. Delete it only if it is left from a rotation that was interrupted"
        for key in row["items"]
    ]
    return lines + ([f"the tokens were not examined: {row['not_looked']}"] if row["not_looked"] else [])


def changed(key: Row) -> list[str]:
    """Return lines about a key's present state and its scheduled changes."""
    lines = [f"key {key['fingerprint']} of {key['profile']} is {key['state']}"]
    if key["activate_at"]:
        lines.append(f"  it becomes active at {minute(key['activate_at'])} UTC")
    elif key["signs_until"] and key["state"] == "trusted":
        lines.append(f"  it signs beside the active key until {minute(key['signs_until'])} UTC")
    if key["retire_after"] and key["state"] == "trusted":
        lines.append(f"  it is retired at {minute(key['retire_after'])} UTC")
    return lines


def made(key: Row) -> list[str]:
    """Return the same lines about a new key, and its public half."""
    return [*changed(key), *str(key["public_key"]).splitlines()]


def replaced(row: Row) -> list[str]:
    """Return lines about the new key and the old one, if there are such, and the new key's public half."""
    new, old = ([] if row[which] is None else changed(row[which]) for which in ("new", "old"))
    return [*new, *old, *(made(row["new"])[len(new) :] if new else [])]
