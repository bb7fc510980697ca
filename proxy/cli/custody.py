"""Keys where they are, on the command line: what needs more than a plan and a yes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out
from proxy.cli.evidence_page import page
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.tokens.token_key import CONFIRM_DIGITS
from proxy.trust.explain import plain


def destroy(place: Endpoint, key: str, reason: str, confirm: str, manner: Confirmation) -> Exit:
    """Destroy the key, once its fingerprint was typed. What is typed is compared by the server."""
    path, body = f"keys/{quote(key, safe='')}/destroy", {"reason": reason, "confirm": confirm}
    if manner.dry_run:
        answer = agreed(place, path, body, manner)
        return answer if isinstance(answer, Exit) else Exit.FINE
    if not confirm:
        planned = call(place, "POST", f"{path}?dry_run=true", body)
        sys.stderr.write("".join(f"  - {plain(str(step), 500)}\n" for step in planned["plan"]))
        if not sys.stdin.isatty():
            sys.stderr.write("no terminal to ask on; say --confirm and the first 12 digits of the fingerprint\n")
            return Exit.NO
        sys.stderr.write(f"Type the first {CONFIRM_DIGITS} digits of its fingerprint to destroy it: ")
        sys.stderr.flush()
        confirm = sys.stdin.readline().strip()
        if not confirm:
            sys.stderr.write("nothing was done\n")
            return Exit.NO
    return told(call(place, "POST", path, {**body, "confirm": confirm}), manner.form)


def told(key: dict[str, Any], form: OutputFormat) -> Exit:
    """Print a key that was changed."""
    if form is OutputFormat.JSON:
        return json_out(key)
    where = f"on token {key['token']}, serial {key['token_serial']}"
    return lines_out([f"key {key['fingerprint']} of {key['profile']} is {key['state']} {where}"])


def evidence(place: Endpoint, key: str, html: Path | None, out: Path | None) -> Exit:
    """Print or keep the evidence as JSON, and as a page beside it where that is wanted."""
    made = call(place, "GET", f"keys/{quote(key, safe='')}/evidence")
    if html is not None:
        html.write_text(page(made), encoding="utf-8")
    if out is None and html is None:
        return json_out(made)
    if out is not None:
        import json

        out.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return Exit.FINE
