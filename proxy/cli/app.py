"""All commands with their options. The modules a command needs are imported when it runs."""

from __future__ import annotations

import sys
from copy import copy
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.ask import told
from proxy.cli.breakglass_app import break_glass
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.options import Output, chosen
from proxy.cli.sign import sign
from proxy.cli.trust_app import trust_app
from proxy.exports.clients import Client
from proxy.oci.faults import ConfigError, Fault, Unavailable, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer.models import CommandInfo, TyperInfo

    from proxy.admin.operation import Operation
    from proxy.config import Settings

app = typer.Typer(
    name="countersign",
    help="A signing registry proxy: it signs what is pushed, and serves only what satisfies the policy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Check, explain and describe the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.command("breakglass")(break_glass)
app.command("sign")(sign)
app.add_typer(trust_app, name="trust")

# Groups generated from the operations of modules; only the modules of the named group are loaded, none by `--help`.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "keys": (
        "Manage the keys that sign, from creation to destruction.", "proxy.keys.operations",
        "proxy.keys.image_operations", "proxy.keys.custody_operations", "proxy.keys.chain_operations",
    ),
    "keys chain": ("Show and set the certificate chain of a key.", "proxy.keys.chain_operations"),
    "deny": ("Deny images and repositories, whatever signed them.", "proxy.overrides.denial_operations"),
    "tokens": ("Make and revoke tokens for the admin API.", "proxy.admin.token_operations"),
    "approvals": ("Approve or reject the requests of other people.", "proxy.admin.approval_operations"),
    "jobs": ("Show and cancel long-running work.", "proxy.jobs.operations"),
    "policy": ("Show, try and change the policies of repositories.", "proxy.policies.operations"),
    "exceptions": ("Break-glass: temporarily allow pulls that policy blocks.", "proxy.overrides.exception_operations"),
    "report": ("Reports made from the journal.", "proxy.server.journal_operations"),
}  # fmt: skip
# Commands of one word that are operations: the same, with the first words of their help.
COMMANDS = {
    "verify": ("Judge an image as a pull of it would now.", "proxy.server.image_operations"),
    "why": ("Explain a decision: each check, the verdict and the fix.", "proxy.server.image_operations"),
    "status": ("Show what works and what does not.", "proxy.server.server_operations"),
    "journal": ("List the rows of the journal, newest first.", "proxy.server.journal_operations"),
    "reload": ("Reload the configuration, as SIGHUP does.", "proxy.server.server_operations"),
    "doctor": ("Check configuration, tokens, upstream, store and clock.", "proxy.server.doctor_operations"),
}
# Commands of such a group that are not operations: they contact no server, or one repeatedly.
BESIDE = {"tokens": ("proxy.cli.beside", "draft"), "jobs": ("proxy.cli.beside", "watch")}
# Operations that can do without a server, with `--offline`: the function, and the option's help text.
_HERE = "work in the store of this host while the server is stopped"
OFFLINE = {
    "keys lost": ("proxy.cli.keys_offline", "lost_offline", _HERE),
    "policy apply": ("proxy.cli.policy_offline", "changed", _HERE),
    "policy revert": ("proxy.cli.policy_offline", "changed", _HERE),
}
for _name, (_says, *_) in OPERATIONS.items():
    if " " not in _name:
        app.add_typer(typer.Typer(help=_says, no_args_is_help=True), name=_name)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="countersign.yaml (else $COUNTERSIGN_CONFIG, ./, /etc/countersign/)"
    ),
]


def run() -> None:
    """Run the command line; a known error becomes one text and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what its encoding lacks is shown as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        _with(sys.argv[1:3])()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(Exit.CONFIG)
    except Unavailable as error:
        sys.stderr.write(f"{error.what}\n")
        sys.exit(Exit.NO_SERVER)
    except Fault as error:
        sys.stderr.write(f"{visible(error.message, 2000)}\n")
        if error.status == 202:
            sys.exit(Exit.WAITING)
        if error.status == 400:
            sys.exit(Exit.USAGE)
        sys.exit(Exit.INCONCLUSIVE if error.status >= 500 else Exit.NO)


def _with(named: list[str]) -> typer.Typer:
    """Return the app with only the named command: reading the options of all commands takes 0.1 s."""
    commands = [each for each in app.registered_commands if [_called(each)] == named[:1]]
    groups = [each for each in app.registered_groups if [each.name] == named[:1]]
    if not commands and not groups:
        return app  # for its help, or its error about an unknown name
    return _of(commands, groups, " ".join(named))


def whole() -> typer.Typer:
    """Return the app with every command of every group."""
    return _of(app.registered_commands, app.registered_groups)


def _of(commands: Sequence[CommandInfo], groups: Sequence[TyperInfo], wanted: str = "") -> typer.Typer:
    found = copy(app)
    found.registered_commands = [_loaded_command(each) for each in commands]
    found.registered_groups = [_loaded(each, wanted) for each in groups]
    return found


def _loaded_command(named: CommandInfo) -> CommandInfo:
    """Return the command, made of its operation if it has one."""
    if named.name not in COMMANDS:
        return named
    from importlib import import_module

    from proxy.cli.operations import command_of

    loaded, operations = copy(named), import_module(COMMANDS[named.name][1]).OPERATIONS
    loaded.help = None
    loaded.callback = next(command_of(each, each) for each in operations if each.command.words == named.name)
    return loaded


def _loaded(named: TyperInfo, wanted: str = "") -> TyperInfo:
    """Return the group with its commands, if they are generated from operations; at least with the wanted one."""
    if named.name not in OPERATIONS:
        return named
    loaded = copy(named)
    loaded.typer_instance = _made(named.name, wanted)
    return loaded


def _made(words: str, wanted: str = "") -> typer.Typer:
    """Return the group of these words: its commands and groups, or only those of the module with the wanted command."""
    from importlib import import_module

    from proxy.cli.operations import group

    says, *modules = OPERATIONS[words]
    operations: list[Operation] = []
    for module in modules:
        operations += import_module(module).OPERATIONS
        if wanted and any(each.command.words == wanted for each in operations):
            return group(words, says, operations, OFFLINE)
    made = group(words, says, operations, OFFLINE)
    if words in BESIDE:
        home, name = BESIDE[words]
        made.command()(getattr(import_module(home), name))
    for inner in OPERATIONS:
        if inner.startswith(f"{words} "):
            made.add_typer(_made(inner), name=inner.removeprefix(f"{words} "))
    return made


def _called(command: CommandInfo) -> str | None:
    return command.name or (None if command.callback is None else command.callback.__name__.replace("_", "-"))


def _print_version(wanted: bool) -> None:
    if wanted:
        from proxy import version

        sys.stdout.write(f"countersign {version()}\n")
        raise typer.Exit


@app.callback()
def countersign(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stand for the whole: an app with one command and no callback would be that command."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="directory for all files")] = Path(),
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="the registry; needed for a new directory")
    ] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="for clients, else 127.0.0.1:5000")] = None,
    admin_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="metrics and health, else 127.0.0.1:5001")
    ] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="the URL that clients use")] = None,
    repositories: Annotated[
        str | None, typer.Option(metavar="GLOB", help="repositories of the policy, else **")
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="only warn on pull: for registries full of unsigned images")
    ] = False,
    contact: Annotated[str | None, typer.Option(metavar="TEXT", help="whom people ask who are blocked")] = None,
    module: Annotated[Path | None, typer.Option(metavar="PATH", help="PKCS#11 module of an existing token")] = None,
    token_label: Annotated[str | None, typer.Option(metavar="LABEL", help="label of the existing token")] = None,
    pin_file: Annotated[Path | None, typer.Option(metavar="FILE", help="file with the existing token's PIN")] = None,
) -> None:
    """Create a configuration and a token with keys. In an existing DIR: only the keys that are missing."""
    from proxy.cli.init import initialise
    from proxy.cli.init_texts import InitOptions

    existing = [option is not None for option in (module, token_label, pin_file)]
    if any(existing) and not all(existing):
        raise ConfigError("--module, --token-label and --pin-file belong together; give all three, or none for SoftHSM")
    wish = InitOptions(
        directory=directory, upstream=upstream, listen=listen, admin_listen=admin_listen, public_url=public_url,
        repositories=repositories, adopt=adopt, contact=contact, module=module, token_label=token_label,
        pin_file=pin_file,
    )  # fmt: skip
    sys.stdout.write(initialise(wish))


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the proxy until SIGTERM. SIGHUP reloads the configuration."""
    from proxy.server.start import started

    raise typer.Exit(started(_file(config)))


for _name in COMMANDS:
    app.command(_name, help=COMMANDS[_name][0])(lambda: None)  # `_loaded_command` puts the operation's in its place


@app.command("client-config")
def client_config(
    client: Annotated[
        Client,
        typer.Argument(metavar="CLIENT", parser=chosen("CLIENT", Client), help=", ".join(Client)),
    ],
    config: ConfigOption = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print the configuration of a client for the proxy. The client then pulls nothing around the proxy."""
    from proxy.exports.clients import instructions

    settings = _settings(config)
    text = (
        f"{instructions(client, settings.server.hosts[0], settings.server.url)}"
        f"\n# Close {settings.upstream.url} to clients in the network: only the proxy may reach it.\n"
    )
    told(output, {"client": client, "text": text}, text)


@config_app.command()
def validate(config: ConfigOption = None, output: Output = OutputFormat.TEXT) -> None:
    """Check the file and the TLS files it names. Each mistake is reported with its line or file. Exit code 0 or 3."""
    from proxy.cli.config import validated

    told(output, *validated(_file(config)))


@config_app.command()
def explain(
    repository: Annotated[
        str | None, typer.Argument(metavar="REPOSITORY", help="the repository whose policy to print")
    ] = None,
    config: ConfigOption = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print every setting in force and its source. With REPOSITORY, print the policy of that repository."""
    from proxy.cli.config import explained

    told(output, *explained(_file(config), repository))


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    import json

    from proxy.config import schema as of_the_file

    sys.stdout.write(json.dumps(of_the_file(), indent=2) + "\n")


def _file(given: Path | None) -> Path:
    import os

    from proxy.cli.options import find

    return find(given, os.environ)


def _settings(given: Path | None) -> Settings:
    from proxy.config import load

    return load(_file(given))
