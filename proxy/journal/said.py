"""What a row of the journal says, for people: one sentence for each kind of event. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from proxy.journal.event import EventKind

K = EventKind
_SHORT = 12  # digits of a fingerprint that people compare
_FIELD = re.compile(r"\{(\w+)\}")
_CODE = "reason: {code}"
_BY_KEY = "{format} by key {key}"
_OF_KEY = "key {key} of {profile}"
_CALL = ("{call}", "{given}", "{places}")
_EXCEPTION = ("exception {exception}", "until {until}", "{reason}")
_PROBLEM = ("{id}: {what}", "stops: {stops}", "next: {next}", "server {server}")

# The parts of the sentence of each kind. `{code}` is the row's reason, other names are of its detail (docs/events.md).
# A part is left out if the row lacks something that is named in it.
SENTENCES: Mapping[EventKind, tuple[str, ...]] = MappingProxyType(
    {
        K.PULL_ALLOWED: ("served",),
        K.PULL_WARNED: ("served in warn mode; enforcing would block it", _CODE),
        K.PULL_DENIED: ("blocked", _CODE, "{what}"),
        K.PULL_REVIEWED: ("served to a reviewer", _CODE),
        K.PULL_EXCEPTED: ("served under exception {exception}", _CODE),
        K.BLOB_DENIED: ("blocked", _CODE, "{what}"),
        K.PUSH_ACCEPTED: ("accepted", "merged into {merged}", "{left_out} entries left out"),
        K.PUSH_DENIED: ("refused", _CODE, "{what}"),
        K.UPSTREAM_UNAVAILABLE: ("the registry did not answer", "{what}"),
        K.TURNED_AWAY: ("the registry refused the push", "status {code}"),
        K.PUSH_NOT_SIGNED: ("refused: could not be signed", _CODE, "{what}"),
        K.PUSH_UNSIGNED: ("accepted without a signature", "exception {exception}", "{why}"),
        K.PUSH_SETTLED: ("now signed, after a push without a signature", "exception {exception}"),
        K.SIGNED: ("signed", _BY_KEY, "profile {profile}", "token {standby} stands by"),
        K.COUNTERSIGNED: ("signed what was in the registry", "{signatures} signatures", "{reason}"),
        K.NOT_TIMESTAMPED: ("signed without a timestamp", _BY_KEY, "{why}"),
        K.SIGNATURE_ATTACHED: ("signature attached", _BY_KEY, "in {artifact}"),
        K.SIGNATURE_REMOVED: (
            "signature removed", _BY_KEY, "{signatures} signatures", "{why}", "deleted {deleted}", "cut {shortened}",
        ),
        K.SIGNATURE_LEFT: ("could not remove every signature of a deleted image", "{left}"),
        K.SIGNATURE_LOST: ("the registry lost a signature, and it could not be put back", "{lost}", "{why}"),
        K.SIGNATURE_REPAIRED: ("the registry lost a signature, and it was put back", "{lost}"),
        K.TAG_REPLACED: ("signatures replaced another manifest under this tag", "of image {about}", "{bytes} bytes"),
        K.MANIFEST_DELETED: ("manifest deleted",),
        K.BLOB_DELETED: ("blob deleted",),
        K.KEY_CREATED: ("recorded", _OF_KEY, "on token {token}", "{reason}"),
        K.KEY_STATE: (
            _OF_KEY, "{from} -> {to}", "since {since}", "activates at {activate_at}", "signs until {signs_until}",
            "retires after {retire_after}", "{reason}",
        ),
        K.KEY_LOST: ("lost", _OF_KEY, "was {from} on token {token}", "replaced by {new}", "{reason}"),
        K.KEY_STANDBY: ("token {token} signs for {profile}", "the first is {first}", "{why}"),
        K.KEY_REBOUND: (_OF_KEY, "moved from {from} to {to}", "{reason}"),
        K.KEY_BACKED_UP: (_OF_KEY, "backed up at {at}", "{reason}"),
        K.KEY_CHAIN: (_OF_KEY, "certificate of {subject}", "by {issuer}", "until {until}", "{reason}"),
        K.DENIAL_ADDED: ("denied", "denial {denial}", "until {until}", "{reason}"),
        K.DENIAL_REMOVED: ("no longer denied", "denial {denial}", "{reason}"),
        K.EXCEPTION_OPENED: ("opened", *_EXCEPTION),
        K.EXCEPTION_CLOSED: ("closed", *_EXCEPTION),
        K.EXCEPTION_REVIEWED: ("reviewed", *_EXCEPTION),
        K.POLICY_CHANGED: ("revision {revision}", "reverts to {reverts}", "{reason}", "{changes}"),
        K.POLICY_LOADED: ("policies in force", "{policies}"),
        K.CONFIG_LOADED: ("configuration in force", "{revision}"),
        K.CONFIG_REFUSED: ("reload refused", "{why}"),
        K.ADMIN_CALLED: (*_CALL, "a dry run: {dry_run}", "from {from}"),
        K.AUDIT_READ: _CALL[:2],
        K.ADMIN_REFUSED: ("refused", _CODE, *_CALL, "from {from}"),
        K.ADMIN_TOKEN: ("bootstrap token {token} stored", "roles {roles}", "until {expires}"),
        K.APPROVAL_ASKED: ("waits for a second person", "{approval}", *_CALL),
        K.APPROVAL_GIVEN: ("approved", "{approval}", "by {asked_by}", *_CALL, "{reason}"),
        K.APPROVAL_REJECTED: ("rejected", "{approval}", "by {asked_by}", *_CALL, "{reason}"),
        K.APPROVAL_EXPIRED: ("expired, undecided", "{approval}", "by {asked_by}", *_CALL),
        K.JOB_QUEUED: ("job {job} queued", "{kind}", "{asked}", "{reason}"),
        K.JOB_ENDED: ("job {job} {state}", "{kind}", "{done} steps", "{note}"),
        K.PROBLEM_BEGAN: ("began", *_PROBLEM),
        K.PROBLEM_ENDED: ("ended", *_PROBLEM[:1], *_PROBLEM[3:]),
        K.STARTED: ("listens on {listen}",),
        K.STOPPED: ("stopped", "{transfers_cut} transfers cut"),
    }
)  # fmt: skip


def said(row: Mapping[str, Any]) -> str:
    """Return what this row says: a row in the form of the admin API, with its detail."""
    told = {name: text for name, value in row["detail"].items() if (text := _text(name, value))}
    told |= {name: row[field][:_SHORT] for name, field in (("policies", "policy_revision"),) if row[field]}
    told |= {"code": row["reason"]} if row["reason"] else {}
    parts = SENTENCES.get(row["kind"], ())  # none: of a newer server
    whole = [part for part in parts if all(name in told for name in _FIELD.findall(part))]
    return "; ".join(_FIELD.sub(lambda field: told[field[1]], part) for part in whole)


def _text(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = "" if value is None or value is False else str(value)
    return text[:_SHORT] if name in ("key", "new", "revision") else text
