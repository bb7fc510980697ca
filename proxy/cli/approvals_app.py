"""`countersign approvals`: the commands and their options. `approvals` implements them."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.admin.approval import ApprovalState
from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

approvals_app = typer.Typer(help="Agree to what others asked for, or not.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="as `approvals list` shows it")]


@approvals_app.command("list")
def list_approvals(
    state: Annotated[ApprovalState | None, typer.Option("--state", help="requests in this state only")] = None,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """List calls that wait for a second person, or did, newest first."""
    from proxy.cli import approvals

    raise typer.Exit(approvals.show_all(place_of(server, token, config), state.value if state else "", output))


@approvals_app.command()
def show(
    request: _Id, server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """Show one of them, with what was asked and what it would do."""
    from proxy.cli import approvals

    raise typer.Exit(approvals.show(place_of(server, token, config), request, output))


@approvals_app.command()
def approve(
    request: _Id,
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Agree to what somebody else asked for; it is done at once."""
    from proxy.cli import approvals
    from proxy.cli.agreed import Confirmation

    raise typer.Exit(
        approvals.approve(place_of(server, token, config), request, reason, Confirmation(dry_run, yes, output))
    )


@approvals_app.command()
def reject(
    request: _Id,
    reason: Reason,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Turn down what somebody asked for, or take back what one asked for oneself."""
    from proxy.cli import approvals

    raise typer.Exit(approvals.reject(place_of(server, token, config), request, reason, output))
