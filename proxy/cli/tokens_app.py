"""`countersign tokens`: the commands and their options. What they do is in `tokens`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Server, Token, place_of
from proxy.oci.faults import ConfigError
from proxy.trust.roles import Role

tokens_app = typer.Typer(help="Make and take away tokens for the admin API.", no_args_is_help=True)


@tokens_app.command("list")
def list_tokens(
    server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """List every admin token there was: whose, with which roles, until when."""
    from proxy.cli import tokens

    raise typer.Exit(tokens.show(place_of(server, token, config), output))


@tokens_app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="whom or what it is for, as the journal will show it")],
    role: Annotated[list[Role], typer.Option("--role", help="what it may do; may be given several times")],
    repository: Annotated[
        list[str] | None,
        typer.Option(
            "--repository", metavar="PATTERN", help="for these only, such as team/**; may be given several times"
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="days until it expires")] = 90,
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", metavar="ID:SHA256", help="of a token that its holder drafted")
    ] = "",
    dry_run: DryRun = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Make an admin token and print it, this once."""
    from proxy.cli import tokens

    raise typer.Exit(
        tokens.create(
            place_of(server, token, config), name, [r.value for r in role], days, output, repository or (),
            fingerprint=fingerprint, dry_run=dry_run,
        )
    )  # fmt: skip


@tokens_app.command()
def draft() -> None:
    """Draft a token that only its holder sees: printed here, and made known by its fingerprint."""
    from proxy.cli import tokens

    raise typer.Exit(tokens.draft())


@tokens_app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="as `tokens list` shows it")],
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """End an admin token for good, at once."""
    from proxy.cli import tokens

    if re.fullmatch(r"[a-z0-9]{8,20}", token_id) is None:
        raise ConfigError("ID is the first column of `countersign tokens list`, never the token itself")
    raise typer.Exit(tokens.revoke(place_of(server, token, config), token_id, output))
