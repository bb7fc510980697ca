"""Options shared by several commands, how their values are read, and the server they select."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from proxy.cli.exits import DocumentFormat, OutputFormat, socket_beside
from proxy.oci.faults import ConfigError

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


T = TypeVar("T", bound=StrEnum)


def chosen(label: str, kinds: type[T]) -> Callable[[str], T]:
    """Return the reader of an option or argument that is one of these; it says in our words what is wrong."""

    def read(typed: str) -> T:
        from proxy.cli.typed import choice_of

        return kinds(choice_of(label, typed, [*kinds]))

    return read


Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output", "-o", metavar="[text|json]", parser=chosen("--output", OutputFormat), help="output format"
    ),
]
Document = Annotated[
    DocumentFormat,
    typer.Option(
        "--output", "-o", metavar="[text|json|markdown]", parser=chosen("--output", DocumentFormat),
        help="output format; markdown is for merge requests",
    ),
]  # fmt: skip
REASON = "the reason, recorded in the journal"
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help=REASON)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only show the plan")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")]


def place_of(server: str, token: str, config: Path | None) -> Endpoint:
    """Return the selected server: the one of the URL, else the one on this host. Raises ConfigError."""
    from proxy.cli.admin import Endpoint

    if server:
        return Endpoint(server=server, token=token.strip())
    file = find(config, os.environ)
    return Endpoint(socket=socket_beside(file), config=file)


def actor_offline(reason: str) -> Actor:
    """Return who acts while no server runs."""
    from proxy.trust.actor import Actor
    from proxy.trust.names import ON_THE_HOST

    return Actor(ON_THE_HOST, "offline", reason)


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
