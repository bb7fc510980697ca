"""The commands for certificates of keys."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.cli.admin import Endpoint, call
from proxy.cli.agreed import Confirmation, agreed
from proxy.cli.ask import json_out, lines_out, table
from proxy.cli.exits import Exit
from proxy.cli.form import OutputFormat
from proxy.oci.duration import minute
from proxy.oci.faults import ConfigError

FILE_BYTES = 60_000


def csr(place: Endpoint, key: str, subject: str, form: OutputFormat) -> Exit:
    """Print a certificate request for the key: only PEM, so that it can be piped."""
    made = call(place, "POST", f"keys/{quote(key, safe='')}/csr", {"subject": subject})
    return json_out(made) if form is OutputFormat.JSON else lines_out(str(made["csr"]).splitlines())


def show(place: Endpoint, key: str, form: OutputFormat) -> Exit:
    """Print the key's chain; exit code 1 if it has none."""
    shown = call(place, "GET", f"keys/{quote(key, safe='')}/chain")
    _printed(shown, form)
    return Exit.FINE if shown["certificates"] else Exit.NO


def put(place: Endpoint, key: str, file: Path, reason: str, manner: Confirmation) -> Exit:
    """Set the key's chain to the one in this file, after confirmation. Raises ConfigError for the file."""
    body = {"chain": _read(file), "reason": reason}
    return _changed(agreed(place, f"keys/{quote(key, safe='')}/chain", body, manner), manner)


def self_signed(place: Endpoint, key: str, body: Mapping[str, object], manner: Confirmation) -> Exit:
    """Give the key a self-signed certificate, after confirmation; print a warning about its limited value."""
    done = _changed(agreed(place, f"keys/{quote(key, safe='')}/self-signed", body, manner), manner)
    if done is Exit.FINE and not manner.dry_run:
        sys.stderr.write("warning: nobody vouches for a self-signed certificate; use it for development alone\n")
    return done


def _changed(answer: dict[str, Any] | Exit, manner: Confirmation) -> Exit:
    return answer if isinstance(answer, Exit) else _printed(answer, manner.form)


def _printed(shown: Mapping[str, Any], form: OutputFormat) -> Exit:
    if form is OutputFormat.JSON:
        return json_out(shown)
    name = f"key {shown['fingerprint']} of {shown['profile']}"
    if not shown["certificates"]:
        return lines_out([f"{name} has no chain"])
    rows = [("SUBJECT", "ISSUER", "FROM", "UNTIL", "THUMBPRINT"), *map(_row, shown["certificates"])]
    return lines_out([f"{name}{' (self-signed)' if shown['self_signed'] else ''}", *table(rows)])


def _row(one: Mapping[str, str]) -> tuple[str, ...]:
    return (one["subject"], one["issuer"], minute(one["first"]), minute(one["last"]), one["thumbprint"][:16])


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: allowed: PEM text, leaf to root (openssl x509 -in FILE -inform DER)") from None
    if len(data) > FILE_BYTES:
        raise ConfigError(f"{file}: more than {FILE_BYTES} bytes; allowed: the certificates of one chain")
    return text
