"""`countersign keys csr`, `keys self-signed` and `keys chain`: the options. `chains` implements them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

chain_app = typer.Typer(help="See and set the certificate chain of a key.", no_args_is_help=True)

_Key = Annotated[str, typer.Argument(metavar="KEY", help="its fingerprint, or the first 8 digits of it or more")]


def csr(
    key: _Key,
    subject: Annotated[str, typer.Option("--subject", metavar="NAME", help="C=DE,ST=Berlin,O=Example,CN=release")],
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print a certificate request (PEM) for a key, signed by it in its token."""
    from proxy.cli import chains

    raise typer.Exit(chains.csr(place_of(server, token, config), key, subject, output))


def self_signed(
    key: _Key,
    reason: Reason,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="how long it is valid")] = 365,
    subject: Annotated[str, typer.Option("--subject", metavar="NAME", help="else a name made of the profile's")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Give a key a chain of one, signed by itself: for development, nobody vouches for it."""
    from proxy.cli import chains
    from proxy.cli.agreed import Confirmation

    body: dict[str, object] = {"days": days, "reason": reason, **({"subject": subject} if subject else {})}
    raise typer.Exit(chains.self_signed(place_of(server, token, config), key, body, Confirmation(dry_run, yes, output)))


@chain_app.command("show")
def show(
    key: _Key, server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """Print the certificate chain of a key. Exit code 1: it has none."""
    from proxy.cli import chains

    raise typer.Exit(chains.show(place_of(server, token, config), key, output))


@chain_app.command("set")
def put(
    key: _Key,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="PEM: the key's certificate, its issuers, the root last")
    ],
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Give a key the chain a CA issued for it; whatever is wrong with it is named, with how to mend it."""
    from proxy.cli import chains
    from proxy.cli.agreed import Confirmation

    place = place_of(server, token, config)
    raise typer.Exit(chains.put(place, key, file, reason, Confirmation(dry_run, yes, output)))
