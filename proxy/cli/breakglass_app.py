"""`countersign breakglass`: the command and its options. `breakglass` implements it."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli.exits import OutputFormat
from proxy.cli.options import Config, DryRun, Output, Yes


def break_glass(
    offline: Annotated[
        bool, typer.Option("--offline", help="confirm that no server answers; otherwise use `exceptions open`")
    ] = False,
    repository: Annotated[str, typer.Option("--repository", metavar="REPO", help="the repository")] = "",
    digest: Annotated[str, typer.Option("--digest", metavar="DIGEST", help="only this image")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="the reason, recorded in the journal")] = "",
    lasting: Annotated[str, typer.Option("--for", metavar="SPAN", help="the duration, at most 2h")] = "2h",
    end: Annotated[bool, typer.Option("--end", help="end the exception that is open on this host")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Allow pulls of a blocked image while no server answers. For two hours at most, by root on this host."""
    import os

    from proxy.cli import breakglass
    from proxy.cli.agreed import Confirmation
    from proxy.cli.options import find
    from proxy.cli.typed import span_of
    from proxy.oci.faults import Invalid

    file = find(config, os.environ)
    if end:
        raise typer.Exit(breakglass.end(file, output))
    if not offline or not repository:
        raise Invalid(
            "give --offline and --repository; while the server answers use: "
            "countersign exceptions open --repository REPO --reason TEXT --for 2h"
        )
    manner = Confirmation(dry_run, yes, output)
    seconds = int(span_of("--for", lasting).total_seconds())
    raise typer.Exit(breakglass.make(file, repository, digest, reason, seconds, manner))
