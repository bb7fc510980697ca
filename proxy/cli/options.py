"""Options shared by several commands, how their values are read, and the server they select."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.exits import DocumentFormat, OutputFormat
from proxy.oci.duration import parse_span
from proxy.oci.faults import ConfigError, Fault
from proxy.oci.reference import Repository, parse_repository

if TYPE_CHECKING:
    from proxy.cli.admin import Endpoint
    from proxy.trust.actor import Actor

Server = Annotated[
    str, typer.Option("--server", metavar="URL", help="the admin listener; without it, the server of this host")
]
Token = Annotated[
    str,
    typer.Option(
        "--token", metavar="TOKEN", envvar="COUNTERSIGN_TOKEN", show_envvar=False,
        help="admin token for --server; better as $COUNTERSIGN_TOKEN, other users see arguments",
    ),
]  # fmt: skip
Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="countersign.yaml")]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="output format")]
Document = Annotated[
    DocumentFormat, typer.Option("--output", "-o", help="output format; markdown is for merge requests")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="the reason, recorded in the journal")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only show the plan")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")]


def place_of(server: str, token: str, config: Path | None) -> Endpoint:
    """Return the selected server: the one of the URL, else the one on this host. Raises ConfigError."""
    import os

    from proxy.cli.admin import Endpoint
    from proxy.cli.exits import socket_beside

    if server:
        return Endpoint(server=server, token=token.strip())
    return Endpoint(socket=socket_beside(find(config, os.environ)))


def seconds_of(text: str, option: str) -> int:
    """Return the length of a span such as `2h` in seconds. Raises ConfigError naming the option."""
    try:
        return int(parse_span(text).total_seconds())
    except ValueError as wrong:
        raise ConfigError(f"{option}: found {text!a}; {wrong}") from None


def moment_of(text: str, option: str, now: datetime) -> datetime:
    """Return the end of a span from now, or the given moment, UTC by default. Raises ConfigError."""
    with suppress(ValueError):
        return now + parse_span(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: found {text!a}; allowed: 2h, 7d, or 2027-01-31T18:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def actor_offline(reason: str) -> Actor:
    """Return who acts while no server runs. Raises ConfigError for a reason that may not be recorded."""
    from proxy.trust.actor import Actor
    from proxy.trust.names import ON_THE_HOST, holds_token

    if not reason.isprintable() or not 0 < len(reason) <= 500 or holds_token(reason):
        raise ConfigError("--reason: one line of 1 to 500 printable characters, without a token in it")
    return Actor(ON_THE_HOST, "offline", reason)


def repository_of(text: str, option: str) -> Repository:
    """Return the repository. Raises ConfigError naming the option."""
    try:
        return parse_repository(text)
    except Fault as wrong:
        raise ConfigError(f"{option}: {wrong.message}") from None


PLACES = (Path("countersign.yaml"), Path("/etc/countersign/countersign.yaml"))


def find(given: Path | None, environment: Mapping[str, str]) -> Path:
    """Return the file to use: the given one, $COUNTERSIGN_CONFIG, or the first usual place. Raises ConfigError.

    A directory means the countersign.yaml in it.
    """
    named = environment.get("COUNTERSIGN_CONFIG")
    chosen = given or (Path(named) if named else None)
    if chosen is not None:
        return chosen / "countersign.yaml" if chosen.is_dir() else chosen
    for place in PLACES:
        if place.exists():
            return place
    looked = ", ".join(str(place) for place in PLACES)
    raise ConfigError(
        f"no configuration found ({looked}); give --config FILE, or make one: countersign init --upstream URL"
    )
