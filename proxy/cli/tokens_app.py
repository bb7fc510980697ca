"""`countersign tokens`: the commands and their options. What they do is in `tokens`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.form import Form
from proxy.oci.faults import ConfigError
from proxy.trust.roles import Role

if TYPE_CHECKING:
    from proxy.cli.admin import Place

tokens_app = typer.Typer(help="Make and take away tokens for the admin API.", no_args_is_help=True)

_Server = Annotated[
    str, typer.Option("--server", metavar="URL", help="the admin listener; without it, the server of this host")
]
_Token = Annotated[
    str,
    typer.Option(
        "--token", metavar="TOKEN", envvar="COUNTERSIGN_TOKEN", show_envvar=False,
        help="admin token for --server; better as $COUNTERSIGN_TOKEN, other users see arguments",
    ),
]  # fmt: skip
_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="countersign.yaml")]
_Output = Annotated[Form, typer.Option("--output", "-o", help="how to print")]


@tokens_app.command("list")
def list_tokens(server: _Server = "", token: _Token = "", config: _Config = None, output: _Output = Form.TEXT) -> None:
    """List every admin token there was: whose, with which roles, until when."""
    from proxy.cli import tokens

    raise typer.Exit(tokens.show(_place(server, token, config), output))


@tokens_app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="whom or what it is for, as the journal will show it")],
    role: Annotated[list[Role], typer.Option("--role", help="what it may do; may be given several times")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="days until it expires")] = 90,
    server: _Server = "",
    token: _Token = "",
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Make an admin token and print it, this once."""
    from proxy.cli import tokens

    raise typer.Exit(tokens.create(_place(server, token, config), name, [r.value for r in role], days, output))


@tokens_app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="as `tokens list` shows it")],
    server: _Server = "",
    token: _Token = "",
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """End an admin token for good, at once."""
    from proxy.cli import tokens

    if re.fullmatch(r"[a-z0-9]{8,20}", token_id) is None:
        raise ConfigError("ID is the first column of `countersign tokens list`, never the token itself")
    raise typer.Exit(tokens.revoke(_place(server, token, config), token_id, output))


def _place(server: str, token: str, config: Path | None) -> Place:
    import os

    from proxy.cli.admin import Place
    from proxy.cli.form import socket_beside
    from proxy.config import find

    if server:
        return Place(server=server, token=token.strip())
    return Place(socket=socket_beside(find(config, os.environ)))
