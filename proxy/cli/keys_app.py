"""`countersign keys`: the commands and their options. `keys` implements them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.chains_app import chain_app, csr, self_signed
from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

keys_app = typer.Typer(help="See the keys that sign, and move them through their lives.", no_args_is_help=True)
keys_app.command("csr")(csr)
keys_app.command("self-signed")(self_signed)
keys_app.add_typer(chain_app, name="chain")

_Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="the name under `keys` in the configuration")]
_On = Annotated[str, typer.Option("--on", metavar="NAME", help="the token that makes it, when not the first")]
_Overlap = Annotated[
    str, typer.Option(metavar="HOW", help="publish-first:14d, dual-sign:14d, both with a comma, or none")
]
_RetireAfter = Annotated[str, typer.Option(metavar="SPAN", help="retire the old key that long after, such as 30d")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="its fingerprint, or the first 8 digits of it or more")]


@keys_app.command("list")
def list_keys(
    server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """List our keys and their states, and keys on the tokens that are in no record. Exit code 1: there are such."""
    from proxy.cli import keys

    raise typer.Exit(keys.show(place_of(server, token, config), output))


@keys_app.command()
def rotate(
    profile: _Profile,
    reason: Reason,
    overlap: _Overlap = "",
    retire_after: _RetireAfter = "",
    on: _On = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Make a new key and sign with it from now on; what the old one signed still verifies."""
    body = _body(reason, overlap=overlap, retire_after=retire_after, token=on)
    _change("rotate", profile, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def prepare(
    profile: _Profile,
    reason: Reason,
    on: _On = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Make a new key that does not sign yet, so that its public half can be handed out first."""
    _change("prepare", profile, _body(reason, token=on), (server, token, config), (dry_run, yes, output))


@keys_app.command()
def activate(
    key: _Key,
    reason: Reason,
    overlap: _Overlap = "",
    retire_after: _RetireAfter = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Sign with a prepared key from now on; what the old one signed still verifies."""
    body = _body(reason, overlap=overlap, retire_after=retire_after)
    _change("activate", key, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def retire(
    key: _Key,
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Let a key no longer count: images that only it has signed are blocked."""
    _change("retire", key, {"reason": reason}, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def compromise(
    key: _Key,
    reason: Reason,
    rotate: Annotated[bool, typer.Option("--rotate", help="where it is active, let another key sign first")] = False,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="since when others may have it; 2027-01-31T08:00:00Z")
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Distrust a key that others may have: images that only it has signed are blocked at once."""
    body = {"rotate": rotate, **_body(reason, since=since)}
    _change("compromise", key, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def lost(
    key: _Key,
    reason: Reason,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="others may have it: nothing that it signed counts any more")
    ] = False,
    since: Annotated[str, typer.Option(metavar="TIME", help="with --compromised: since when others may have it")] = "",
    on: _On = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="in the store of this host, with the server stopped; shows no plan")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Let another key take the place of one that is gone from its token, without a backup; pulls go on."""
    if offline:
        from proxy.cli.keys_offline import lost_offline

        raise typer.Exit(lost_offline(config, key, reason, (compromised, since, on), output))
    body = {"compromised": compromised, **_body(reason, since=since, token=on)}
    _change("lost", key, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def resign(
    profile: _Profile,
    reason: Reason,
    repository: Annotated[str, typer.Option("--repository", metavar="NAME", help="in this one alone")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="stay until it is done, with a bar")] = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Sign again, with the key that signs now, every image that another key of the profile has signed."""
    from urllib.parse import quote

    from proxy.cli import jobs
    from proxy.cli.agreed import Confirmation

    body, path = {"reason": reason, "repository": repository}, f"keys/{quote(profile, safe='')}/resign"
    raise typer.Exit(
        jobs.start(place_of(server, token, config), path, body, Confirmation(dry_run, yes, output), wait=wait)
    )


def _body(reason: str, **given: str) -> dict[str, object]:
    """Return the body of the call; options that were not given are left to the server."""
    return {"reason": reason, **{name: value for name, value in given.items() if value}}


def _change(
    verb: str,
    of: str,
    body: dict[str, object],
    where: tuple[str, str, Path | None],
    how: tuple[bool, bool, OutputFormat],
) -> None:
    from proxy.cli import keys
    from proxy.cli.agreed import Confirmation

    raise typer.Exit(keys.change(place_of(*where), verb, of, body, Confirmation(*how)))
