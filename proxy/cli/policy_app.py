"""`countersign policy`: the commands and their options. `policy` implements them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

policy_app = typer.Typer(help="See, try and change what repositories demand.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="a file with the setting `policies`")]
_Number = Annotated[int, typer.Argument(metavar="REVISION", min=1, help="as `policy history` numbers them")]
_Base = Annotated[
    int | None,
    typer.Option("--base", metavar="REVISION", min=0, help="what it was made from; refused when another is in force"),
]
_Offline = Annotated[
    bool, typer.Option("--offline", help="write into the store of this host, for a server that does not start")
]


@policy_app.command()
def show(
    number: Annotated[int | None, typer.Argument(metavar="[REVISION]", min=1, help="else what is in force")] = None,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print the policies in force, or a revision of them, as a file."""
    from proxy.cli import policy

    raise typer.Exit(policy.show(place_of(server, token, config), number, output))


@policy_app.command()
def history(server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT) -> None:
    """List every revision of the policies: since when, by whom and why."""
    from proxy.cli import policy

    raise typer.Exit(policy.history(place_of(server, token, config), output))


@policy_app.command()
def diff(
    old: _Number,
    new: _Number,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Say what is different between two revisions, by policy and setting."""
    from proxy.cli import policy

    raise typer.Exit(policy.diff(place_of(server, token, config), old, new, output))


@policy_app.command()
def plan(
    file: _File,
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="how far back to look for pulls")] = 7,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="images; more than 1000: in a job")] = 1000,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Judge again what was pulled, by these policies. Exit code 2: some of it would newly be blocked, 5: not known."""
    from proxy.cli import policy

    raise typer.Exit(policy.plan(place_of(server, token, config), file, days, limit, output))


@policy_app.command()
def apply(
    file: _File,
    reason: Reason,
    base: _Base = None,
    offline: _Offline = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Put the policies of a file in force, as a new revision."""
    from proxy.cli import policy
    from proxy.cli.agreed import Confirmation

    if offline:
        raise typer.Exit(_offline(config, file, None, reason, output))
    manner = Confirmation(dry_run, yes, output)
    raise typer.Exit(policy.apply(place_of(server, token, config), file, reason, base, manner))


@policy_app.command()
def revert(
    number: _Number,
    reason: Reason,
    base: _Base = None,
    offline: _Offline = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Put an older revision in force again, as a new one."""
    from proxy.cli import policy
    from proxy.cli.agreed import Confirmation

    if offline:
        raise typer.Exit(_offline(config, None, number, reason, output))
    manner = Confirmation(dry_run, yes, output)
    raise typer.Exit(policy.revert(place_of(server, token, config), number, reason, base, manner))


@policy_app.command("test")
def try_on(
    ref: Annotated[str, typer.Argument(metavar="REF", help="repo[:tag|@digest], the proxy's name in front or not")],
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="policies to judge by instead")] = None,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Say what a pull would get, by what is in force or by FILE. Exit code 0: allowed, 1: blocked, 5: not known."""
    from proxy.cli import policy

    raise typer.Exit(policy.try_on(place_of(server, token, config), ref, file, output))


@policy_app.command()
def lint(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="else what is in force")] = None,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Name what policies say and cannot mean. Exit code 1: there is more than notes."""
    from proxy.cli import policy

    raise typer.Exit(policy.lint(place_of(server, token, config), file, output))


def _offline(config: Path | None, file: Path | None, number: int | None, reason: str, output: OutputFormat) -> int:
    import os

    from proxy.cli.file import find
    from proxy.cli.policy_offline import changed

    return changed(find(config, os.environ), file, number, reason, output)
