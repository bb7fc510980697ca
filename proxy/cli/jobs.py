"""The command that waits for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, Output, Server, Token, place_of

if TYPE_CHECKING:
    from proxy.cli.admin import Endpoint
    from proxy.cli.exits import Exit


def watch(
    job: Annotated[str, typer.Argument(metavar="ID", help="as `jobs list` shows it")],
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Wait for a job, with a bar. Exit code 5: left with Ctrl-C."""
    raise typer.Exit(waited_for(place_of(server, token, config), job, output))


def waited_for(place: Endpoint, job_id: str, form: OutputFormat) -> Exit:
    """Wait for a job and print its result."""
    from proxy.cli.admin import call
    from proxy.cli.progress import followed

    return followed(place, call(place, "GET", f"jobs/{quote(job_id, safe='')}"), form)
