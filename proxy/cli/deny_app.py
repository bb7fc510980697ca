"""`countersign deny`: the commands and their options. What they do is in `deny`."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

deny_app = typer.Typer(help="Deny images and repositories, whatever signed them.", no_args_is_help=True)


@deny_app.command("list")
def list_denials(
    server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """List what is denied: until when, by whom, why."""
    from proxy.cli import deny

    raise typer.Exit(deny.show(place_of(server, token, config), output))


@deny_app.command()
def add(
    target: Annotated[str, typer.Argument(metavar="DIGEST|REPO", help="sha256:..., or a repository or pattern")],
    reason: Reason,
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="7d, or 2027-01-31; else for good")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Block a digest or repositories at once: it wins over every signature and every exception."""
    from datetime import UTC, datetime

    from proxy.cli import deny
    from proxy.cli.agreed import Confirmation
    from proxy.cli.spans import moment_of

    end = moment_of(until, "--until", datetime.now(UTC)) if until else None
    raise typer.Exit(deny.add(place_of(server, token, config), target, reason, end, Confirmation(dry_run, yes, output)))


@deny_app.command()
def remove(
    denied: Annotated[str, typer.Argument(metavar="ID|DIGEST|REPO", help="as `deny list` shows it")],
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Take a denial back: policy alone decides again."""
    from proxy.cli import deny
    from proxy.cli.agreed import Confirmation

    raise typer.Exit(deny.remove(place_of(server, token, config), denied, reason, Confirmation(dry_run, yes, output)))
