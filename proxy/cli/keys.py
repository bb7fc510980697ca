"""The key commands: shown as a table; changed after the plan was shown and confirmed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call, pages
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.oci.duration import minute


def show(place: Endpoint, form: OutputFormat) -> Exit:
    """Print the keys; the exit code says whether the tokens hold unrecorded keys."""
    keys = pages(place, "keys")
    beside = call(place, "GET", "keys/unrecorded")
    strays = beside["items"]
    if form is OutputFormat.JSON:
        json_out({"keys": keys, "unrecorded": strays, "not_looked": beside["not_looked"]})
    else:
        rows = [("PROFILE", "KEY", "STATE", "SINCE", "ALGORITHM", "TOKEN", "LABEL", "THEN"), *map(_row, keys)]
        lines = table(rows)
        for stray in strays:
            lines.append(
                f"NOT RECORDED: key {stray['fingerprint'][:12]}, {stray['label']!r} on token {stray['token']}: it is "
                "not in the key book and signs nothing. To use it: countersign keys import PROFILE --label "
                f"{shlex.quote(stray['label'])} --on {stray['token']} --reason TEXT. One that "
                "`countersign init` made for a token "
                "that stands by is recorded when the server starts. Delete it only if it is left from a rotation "
                "that was interrupted"
            )
        if beside["not_looked"]:
            lines.append(f"the tokens were not looked at: {beside['not_looked']}")
        lines_out(lines)
    return Exit.NO if strays else Exit.FINE


def change(place: Endpoint, verb: str, of: str, body: Mapping[str, object], manner: Confirmation) -> Exit:
    """Change the key or the profile `of` (rotate, prepare, ...), and print the resulting keys."""
    answer = agreed(place, f"keys/{quote(of, safe='')}/{verb}", body, manner)
    if isinstance(answer, Exit):
        return answer
    if manner.form is OutputFormat.JSON:
        return json_out(answer)
    changed = [answer["new"], answer["old"]] if "new" in answer else [answer]
    lines = [line for k in changed if k is not None for line in _told(k)]
    if verb in ("rotate", "prepare", "activate") or (verb == "lost" and changed[0] is not None):
        lines += str(changed[0]["public_key"]).splitlines()
    return lines_out(lines)


def _told(key: Mapping[str, Any]) -> list[str]:
    """Return lines about a key's present state and its scheduled changes."""
    lines = [f"key {key['fingerprint']} of {key['profile']} is {key['state']}"]
    if key.get("activate_at"):
        lines.append(f"  it becomes active at {minute(key['activate_at'])} UTC")
    elif key.get("signs_until") and key["state"] == "trusted":
        lines.append(f"  it signs beside the active key until {minute(key['signs_until'])} UTC")
    if key.get("retire_after") and key["state"] == "trusted":
        lines.append(f"  it is retired at {minute(key['retire_after'])} UTC")
    return lines


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("profile", "fingerprint", "state", "since", "algorithm", "token", "label")
    shown = {**key, "fingerprint": str(key["fingerprint"])[:12], "since": minute(key["since"])}
    return (*(str(shown[name]) for name in names), _then(key))


def _then(key: Mapping[str, Any]) -> str:
    """Return the next scheduled change of a key."""
    if key["state"] == "prepared" and key.get("activate_at"):
        return f"active at {minute(key['activate_at'])}"
    ends = (("signs until", key.get("signs_until")), ("retired at", key.get("retire_after")))
    return ", ".join(f"{what} {minute(at)}" for what, at in ends if at and key["state"] == "trusted")
