"""The command about admin tokens that contacts no server."""

from __future__ import annotations

import secrets
import sys

import typer


def draft() -> None:
    """Draft a token that only its holder sees, to be made known."""
    from proxy.admin.token import SECRET_BYTES, fingerprint_of, render
    from proxy.cli.ask import lines_out

    text = render(secrets.token_hex(6), secrets.token_bytes(SECRET_BYTES))
    sys.stderr.write(
        "a token that nobody knows yet: keep it to yourself, it is shown this once; an admin makes it known with\n"
        f"this alone: countersign tokens create NAME --role ROLE --fingerprint {fingerprint_of(text)}\n"
    )
    raise typer.Exit(lines_out([text]))
