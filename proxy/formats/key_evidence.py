"""Key evidence: our record of a key, as a text that the key itself signs.

The text begins with a line that identifies its kind: it cannot be mistaken for a payload of cosign or the Notary
Project (JSON, base64url or CBOR), an in-toto statement (`DSSEv1 ...`), or a certificate (DER).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

KIND = "countersign key evidence v1"
# The exact commands, for a reader who has only the JSON file and openssl.
_PART = """python3 -c 'import json; print(json.load(open("evidence.json"))["{}"])'"""
CHECK = (
    f"{_PART.format('public_key')} > key.pem",
    f"{_PART.format('signed')} | openssl base64 -d -A > signed.txt",
    f"{_PART.format('signature')} | openssl base64 -d -A > signature.bin",
    "openssl dgst -sha256 -verify key.pem -signature signature.bin signed.txt",
)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}"
    "code,pre{overflow-wrap:anywhere;white-space:pre-wrap}"
)


def text_of(document: Mapping[str, Any]) -> bytes:
    """Return the text to sign: a line that identifies its kind, then the document, readable by people too."""
    return f"{KIND}\n{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)}\n".encode()


def document_of(text: bytes) -> Mapping[str, Any]:
    """Return the document in a text. Raises ValueError when the text is of another kind."""
    first, _, rest = text.partition(b"\n")
    if first != KIND.encode():
        raise ValueError(f"not a {KIND}")
    found: Mapping[str, Any] = json.loads(rest)
    return found


def encoded(data: bytes) -> str:
    """Return the bytes in the encoding of the file."""
    return base64.b64encode(data).decode()


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
