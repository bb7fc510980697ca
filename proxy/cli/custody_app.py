"""`countersign keys import`, `rebind`, `backup-recorded`, `destroy`, `evidence`: the commands and their options."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.keys_app import keys_app as keys_app
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

_Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="the name under `keys` in the configuration")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="its fingerprint, or the first 8 digits of it or more")]
_On = Annotated[str, typer.Option("--on", metavar="NAME", help="the token, by its name in the configuration")]


@keys_app.command("import")
def import_key(
    profile: _Profile,
    reason: Reason,
    label: Annotated[str, typer.Option("--label", help="its label on the token")] = "",
    key_id: Annotated[str, typer.Option("--id", metavar="HEX", help="its id on the token (CKA_ID)")] = "",
    on: _On = "",
    accept_extractable: Annotated[
        bool, typer.Option("--accept-extractable", help="take it although it may have copies elsewhere")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Take in a key that is on the token already, once it has proved itself: it becomes prepared."""
    body: dict[str, object] = {
        "reason": reason, "label": label or None, "id": key_id, "token": on or None,
        "accept_extractable": accept_extractable,
    }  # fmt: skip
    _change("import", profile, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def rebind(
    key: _Key,
    reason: Reason,
    on: _On = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Record where a key is after its token was restored, cloned or replaced, once it has proved itself there."""
    _change("rebind", key, {"reason": reason, "token": on or None}, (server, token, config), (dry_run, yes, output))


@keys_app.command("backup-recorded")
def backup_recorded(
    key: _Key,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="which backup, where it is kept")],
    at: Annotated[datetime | None, typer.Option("--at", help="when (UTC); now when left out")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Note that a key's token was backed up with the key on it; doctor names keys without such a note."""
    body: dict[str, object] = {"reason": reason, "at": None if at is None else f"{at.isoformat()}+00:00"}
    _change("backup", key, body, (server, token, config), (dry_run, yes, output))


@keys_app.command()
def destroy(
    key: _Key,
    reason: Reason,
    confirm: Annotated[
        str, typer.Option("--confirm", metavar="DIGITS", help="first 12 digits of its fingerprint")
    ] = "",
    dry_run: DryRun = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Destroy a retired key on its token, for good, once its fingerprint was typed."""
    from proxy.cli import custody
    from proxy.cli.agreed import Confirmation

    manner = Confirmation(dry_run=dry_run, form=output)
    raise typer.Exit(custody.destroy(place_of(server, token, config), key, reason, confirm, manner))


@keys_app.command()
def evidence(
    key: _Key,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="keep the JSON there")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="keep a page for people there")] = None,
    server: Server = "",
    token: Token = "",
    config: Config = None,
) -> None:
    """Prove what a key is: its token, its attributes and its life, signed by the key itself. JSON, or a page."""
    from proxy.cli import custody

    raise typer.Exit(custody.evidence(place_of(server, token, config), key, html, out))


def _change(
    verb: str,
    of: str,
    body: dict[str, object],
    where: tuple[str, str, Path | None],
    how: tuple[bool, bool, OutputFormat],
) -> None:
    from urllib.parse import quote

    from proxy.cli import custody
    from proxy.cli.agreed import Confirmation, agreed
    from proxy.cli.exits import Exit

    manner = Confirmation(*how)
    answer = agreed(place_of(*where), f"keys/{quote(of, safe='')}/{verb}", body, manner)
    raise typer.Exit(answer if isinstance(answer, Exit) else custody.told(answer, manner.form))
