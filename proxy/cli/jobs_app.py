"""`countersign jobs`: the commands and their options. What they do is in `jobs`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, Output, Server, Token, place_of

jobs_app = typer.Typer(help="See and stop long work.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="as `jobs list` shows it")]


class _State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@jobs_app.command("list")
def list_jobs(
    state: Annotated[_State | None, typer.Option("--state", help="jobs in this state only")] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="jobs of this kind only")] = "",
    repository: Annotated[str, typer.Option("--repository", metavar="NAME", help="jobs about it alone")] = "",
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """List long work, newest first: what waits, what runs, and what has ended."""
    from proxy.cli import jobs

    filters = {"state": "" if state is None else state.value, "kind": kind, "repository": repository}
    raise typer.Exit(jobs.show_all(place_of(server, token, config), filters, output))


@jobs_app.command()
def show(
    job: _Id, server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """Show how far a job is, and what came of it."""
    from proxy.cli import jobs

    raise typer.Exit(jobs.show(place_of(server, token, config), job, output))


@jobs_app.command()
def watch(
    job: _Id, server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """Wait for a job, with a bar. Exit code 0: done, 1: failed or cancelled, 5: left with Ctrl-C; it goes on."""
    from proxy.cli import jobs

    raise typer.Exit(jobs.watch(place_of(server, token, config), job, output))


@jobs_app.command()
def cancel(
    job: _Id, server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """Stop a job at its next step; what it did is done."""
    from proxy.cli import jobs

    raise typer.Exit(jobs.cancel(place_of(server, token, config), job, output))
