"""Commands beside operations: one that contacts no server, one that waits for a job."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from proxy.cli.exits import OutputFormat
from proxy.cli.options import Config, Output, Server, Token, place_of

if TYPE_CHECKING:
    from proxy.cli.admin import Endpoint
    from proxy.cli.exits import Exit


def draft(output: Output = OutputFormat.TEXT) -> None:
    """Draft a token that only its holder sees."""
    from proxy.admin.token import SECRET_BYTES, fingerprint_of, render
    from proxy.cli.ask import told

    text = render(secrets.token_hex(6), secrets.token_bytes(SECRET_BYTES))
    sys.stderr.write(
        "a new token, shown only now: keep it secret; it becomes valid once an admin registers its fingerprint with\n"
        f"countersign tokens create NAME --role ROLE --fingerprint {fingerprint_of(text)}\n"
    )
    raise typer.Exit(told(output, {"token": text, "fingerprint": fingerprint_of(text)}, f"{text}\n"))


def watch(
    job: Annotated[str, typer.Argument(metavar="ID", help="as `jobs list` shows it")],
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Wait for a job, with a progress bar. Exit code 5: left with Ctrl-C."""
    from proxy.cli.typed import checked
    from proxy.jobs.operations import show_job

    checked(show_job, {"id": job})
    raise typer.Exit(waited_for(place_of(server, token, config), job, output))


def waited_for(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    """Wait for a job and print its result."""
    from proxy.cli.admin import call
    from proxy.cli.progress import followed

    return followed(place, call(place, "GET", f"jobs/{quote(job_id, safe='')}"), form)
