"""`countersign keys`: the commands and their options. What they do is in `keys`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.form import Form

keys_app = typer.Typer(help="See the keys that sign, and move them through their lives.", no_args_is_help=True)

_Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="the name under `keys` in the configuration")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="its fingerprint, or the first 8 digits of it or more")]
_Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why, for the record")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="only show what would be done")]
_Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="countersign.yaml")]
_Output = Annotated[Form, typer.Option("--output", "-o", help="how to print")]


@keys_app.command("list")
def list_keys(config: _Config = None, output: _Output = Form.TEXT) -> None:
    """List our keys and their states, and keys on the tokens that are in no record. Exit code 1: there are such."""
    from proxy.cli import keys

    raise typer.Exit(keys.show(_socket(config), output))


@keys_app.command()
def rotate(
    profile: _Profile,
    reason: _Reason,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Make a new key and sign with it from now on; what the old one signed still verifies."""
    _change({"action": "rotate", "profile": profile, "reason": reason}, dry_run, yes, config, output)


@keys_app.command()
def prepare(
    profile: _Profile,
    reason: _Reason,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Make a new key that does not sign yet, so that its public half can be handed out first."""
    _change({"action": "prepare", "profile": profile, "reason": reason}, dry_run, yes, config, output)


@keys_app.command()
def activate(
    key: _Key,
    reason: _Reason,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Sign with a prepared key from now on; what the old one signed still verifies."""
    _change({"action": "activate", "key": key, "reason": reason}, dry_run, yes, config, output)


@keys_app.command()
def retire(
    key: _Key,
    reason: _Reason,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Let a key no longer count: images that only it has signed are blocked."""
    _change({"action": "retire", "key": key, "reason": reason}, dry_run, yes, config, output)


@keys_app.command()
def compromise(
    key: _Key,
    reason: _Reason,
    rotate: Annotated[bool, typer.Option("--rotate", help="where it is active, let another key sign first")] = False,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    config: _Config = None,
    output: _Output = Form.TEXT,
) -> None:
    """Distrust a key that others may have: images that only it has signed are blocked at once."""
    wanted = {"action": "compromise", "key": key, "reason": reason, **({"rotate": "yes"} if rotate else {})}
    _change(wanted, dry_run, yes, config, output)


def _change(wanted: dict[str, str], dry_run: bool, yes: bool, config: Path | None, output: Form) -> None:
    from proxy.cli import keys

    raise typer.Exit(keys.change(_socket(config), wanted, output, dry_run=dry_run, yes=yes))


def _socket(config: Path | None) -> Path:
    import os

    from proxy.cli.form import socket_beside
    from proxy.config import find

    return socket_beside(find(config, os.environ))
