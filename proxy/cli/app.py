"""All commands, each with the options it takes. What a command needs is imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.exits import Exit
from proxy.oci.faults import ConfigError, Unavailable

app = typer.Typer(
    name="countersign",
    help="A signing registry proxy: what is pushed comes out signed, what is pulled has satisfied the policy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Check, explain and describe the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="countersign.yaml (else $COUNTERSIGN_CONFIG, ./, /etc/countersign/)"
    ),
]


def run() -> None:
    """Run the command line; errors we know become one text and an exit code."""
    try:
        app()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(Exit.CONFIG)
    except Unavailable as error:
        sys.stderr.write(f"{error.what}\n")
        sys.exit(Exit.NO_SERVER)


@app.command()
def init(
    upstream: Annotated[str, typer.Option("--upstream", metavar="URL", help="the registry behind the proxy")],
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="where everything is put")] = Path(),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="where clients connect")] = "127.0.0.1:5000",
    admin_listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="metrics and health")] = "127.0.0.1:5001",
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="the URL that clients use")] = None,
    repositories: Annotated[str, typer.Option(metavar="GLOB", help="what the policy is for")] = "**",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="only warn on pull: for registries full of unsigned images")
    ] = False,
    module: Annotated[Path | None, typer.Option(metavar="PATH", help="PKCS#11 module of an existing token")] = None,
    token_label: Annotated[str | None, typer.Option(metavar="LABEL", help="label of the existing token")] = None,
    pin_file: Annotated[Path | None, typer.Option(metavar="FILE", help="file with the existing token's PIN")] = None,
) -> None:
    """Make a configuration, a token with keys, and say what to do next. Never overwrites anything."""
    from proxy.cli.init import initialise
    from proxy.cli.init_texts import Wish

    existing = [option is not None for option in (module, token_label, pin_file)]
    if any(existing) and not all(existing):
        raise ConfigError("--module, --token-label and --pin-file belong together; give all three, or none for SoftHSM")
    wish = Wish(
        directory, upstream, listen, admin_listen, public_url, repositories, adopt, module, token_label, pin_file
    )
    sys.stdout.write(initialise(wish))


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the proxy until SIGTERM. SIGHUP reads the configuration again."""
    import asyncio
    import os

    from proxy import wiring
    from proxy.config import find

    raise typer.Exit(asyncio.run(wiring.serve(find(config, os.environ))))
