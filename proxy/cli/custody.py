"""Commands for existing keys that need more than a plan and a confirmation."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.formats.key_evidence import document_of
from proxy.tokens.token_key import CONFIRM_DIGITS
from proxy.trust.explain import plain

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}"
    "code,pre{overflow-wrap:anywhere;white-space:pre-wrap}"
)


def destroy(place: Endpoint, key: str, reason: str, confirm: str, manner: Confirmation) -> Exit:
    """Destroy the key after the user typed its fingerprint. The server compares the typed text."""
    path, body = f"keys/{quote(key, safe='')}/destroy", {"reason": reason, "confirm": confirm}
    if manner.dry_run:
        answer = agreed(place, path, body, manner)
        return answer if isinstance(answer, Exit) else Exit.FINE
    if not confirm:
        planned = call(place, "POST", f"{path}?dry_run=true", body)
        sys.stderr.write("".join(f"  - {plain(str(step), 500)}\n" for step in planned["plan"]))
        if not sys.stdin.isatty():
            sys.stderr.write("stdin is not a terminal: pass --confirm with the first 12 digits of the fingerprint\n")
            return Exit.NO
        sys.stderr.write(f"Type the first {CONFIRM_DIGITS} digits of its fingerprint to destroy it: ")
        sys.stderr.flush()
        confirm = sys.stdin.readline().strip()
        if not confirm:
            sys.stderr.write("nothing was done\n")
            return Exit.NO
    return told(call(place, "POST", path, {**body, "confirm": confirm}), manner.form)


def told(key: dict[str, Any], form: OutputFormat) -> Exit:
    """Print a changed key."""
    if form is OutputFormat.JSON:
        return json_out(key)
    where = f"on token {key['token']}, serial {key['token_serial']}"
    return lines_out([f"key {key['fingerprint']} of {key['profile']} is {key['state']} {where}"])


def evidence(place: Endpoint, key: str, html: Path | None, out: Path | None) -> Exit:
    """Print or save the evidence as JSON, and as a page if requested."""
    made = call(place, "GET", f"keys/{quote(key, safe='')}/evidence")
    if html is not None:
        html.write_text(page(made), encoding="utf-8")
    if out is None and html is None:
        return json_out(made)
    if out is not None:
        out.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return Exit.FINE


def page(made: Mapping[str, Any]) -> str:
    """Return key evidence as a page that contains the signed file. Raises ValueError if it is not evidence."""
    document = document_of(base64.b64decode(made["signed"], validate=True))
    title = f"Evidence of key {document['key']['fingerprint'][:12]} of {document['key']['profile']}"
    file = json.dumps(made, indent=2)
    return "".join(
        (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n",
            f"<p>Made {escape(str(document['at']))} by {escape(str(document['by']))}, ",
            "and signed by the key itself.</p>\n",
            *(_table(name, document[name]) for name in ("key", "token", "attributes")),
            *_journal(document["journal"]),
            "<h2>How to check it</h2>\n<p>Save the file below as <code>evidence.json</code>. This page itself is not ",
            "signed; what counts is in the file. Then:</p>\n",
            f"<pre>{escape(chr(10).join(made['check']))}</pre>\n<p>The last line prints <code>Verified OK</code>, and ",
            "<code>signed.txt</code> says what is above. Compare the public key with the one you know.</p>\n",
            f'<h2>evidence.json</h2>\n<pre id="evidence">{escape(file)}</pre>\n</body></html>\n',
        )
    )


def _table(name: str, rows: Mapping[str, Any]) -> str:
    cells = "".join(f"<tr><th>{escape(k)}</th><td><code>{escape(_text(v))}</code></td></tr>\n" for k, v in rows.items())
    return f"<h2>{escape(name.capitalize())}</h2>\n<table>\n{cells}</table>\n"


def _journal(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>Journal</h2>\n<table>\n<tr><th>when</th><th>what</th><th>who</th><th>detail</th></tr>\n"
    for row in rows:
        detail = json.dumps(row["detail"], sort_keys=True)
        told = (row["at"], row["kind"], f"{row['who']} ({row['how'] or 'the server itself'})", detail)
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in told) + "</tr>\n"
    yield "</table>\n"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not told" if value is None else str(value)
