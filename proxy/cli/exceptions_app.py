"""`countersign exceptions`: the commands and their options. What they do is in `exceptions`."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli.form import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Reason, Server, Token, Yes, place_of

exceptions_app = typer.Typer(help="Break-glass: let blocked images through, for a while.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="as `exceptions list` shows it")]


@exceptions_app.command("list")
def list_exceptions(
    server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT
) -> None:
    """List exceptions, open and over. Exit code 1: one is open or waits for its review."""
    from proxy.cli import exceptions

    raise typer.Exit(exceptions.show(place_of(server, token, config), output))


@exceptions_app.command("open")
def open_one(
    repository: Annotated[
        str, typer.Option("--repository", metavar="REPO", help="where; a policy-admin: or a pattern")
    ],
    reason: Reason,
    lasting: Annotated[str, typer.Option("--for", metavar="SPAN", help="how long: 30m, 2h")],
    digest: Annotated[str, typer.Option("--digest", metavar="DIGEST", help="this image only")] = "",
    allow_unsigned_push: Annotated[
        bool, typer.Option("--allow-unsigned-push", help="accept pushes too that cannot be signed now")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Let people pull what policy blocks: loudly, for a while, and to be reviewed afterwards."""
    from proxy.cli import exceptions
    from proxy.cli.agreed import Confirmation
    from proxy.cli.spans import seconds_of

    wish = {
        "repository": repository,
        "digest": digest or None,
        "reason": reason,
        "allow_unsigned_push": allow_unsigned_push,
        "seconds": seconds_of(lasting, "--for"),
    }
    raise typer.Exit(exceptions.open_one(place_of(server, token, config), wish, Confirmation(dry_run, yes, output)))


@exceptions_app.command()
def close(
    exception: _Id,
    reason: Reason,
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """End an exception before its time."""
    from proxy.cli import exceptions

    raise typer.Exit(exceptions.change(place_of(server, token, config), "close", exception, reason, output))


@exceptions_app.command()
def review(
    exception: _Id,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="what it let through, and what follows")],
    server: Server = "",
    token: Token = "",
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Say what became of an exception that has ended; until then `status` names it."""
    from proxy.cli import exceptions

    raise typer.Exit(exceptions.change(place_of(server, token, config), "review", exception, note, output))


def break_glass(
    offline: Annotated[
        bool, typer.Option("--offline", help="say that nothing answers; else use `exceptions open`")
    ] = False,
    repository: Annotated[str, typer.Option("--repository", metavar="REPO", help="the one repository")] = "",
    digest: Annotated[str, typer.Option("--digest", metavar="DIGEST", help="this image only")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why, for the record")] = "",
    lasting: Annotated[str, typer.Option("--for", metavar="SPAN", help="how long, at most 2h")] = "2h",
    end: Annotated[bool, typer.Option("--end", help="end the one that is open on this host")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    config: Config = None,
) -> None:
    """Let one repository or image be pulled while API, store and HSM are down: for root here, two hours at most."""
    import os

    from proxy.cli import breakglass
    from proxy.cli.file import find
    from proxy.cli.spans import seconds_of
    from proxy.oci.faults import ConfigError

    file = find(config, os.environ)
    if end:
        raise typer.Exit(breakglass.end(file))
    if not offline or not repository:
        raise ConfigError(
            "say --offline and --repository; while the server answers use: "
            "countersign exceptions open --repository REPO --reason TEXT --for 2h"
        )
    seconds = seconds_of(lasting, "--for")
    raise typer.Exit(breakglass.make(file, repository, digest, reason, seconds, dry_run=dry_run, yes=yes))


@exceptions_app.command()
def unsigned(server: Server = "", token: Token = "", config: Config = None, output: Output = OutputFormat.TEXT) -> None:
    """List what was pushed without a signature under an exception. Exit code 1: something is not signed yet."""
    from proxy.cli import exceptions

    raise typer.Exit(exceptions.unsigned(place_of(server, token, config), output))
