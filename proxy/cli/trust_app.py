"""`countersign trust ...`: commands for users of other verifiers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.ask import told
from proxy.cli.exits import OutputFormat
from proxy.cli.options import Config, Output

trust_app = typer.Typer(help="Keys and policies for other verifiers.", no_args_is_help=True)


@trust_app.command("export")
def export(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="the file to print; default: list all files")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="write every file into this folder")] = None,
    image: Annotated[str | None, typer.Option(metavar="REPO:TAG", help="make FILE for this repository only")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="public key that must have signed the index")] = None,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="the proxy's public URL; default: from the configuration")
    ] = None,
    config: Config = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print or save the published keys and verifier policies. They come from /-/trust/; no token is needed."""
    from proxy.cli.trust import ExportOptions
    from proxy.cli.trust import export as made

    if server is None:
        from proxy.cli.options import find
        from proxy.config import load

        server = load(find(config, os.environ)).server.url
    told(output, *made(ExportOptions(server, file, to, image, key)))
