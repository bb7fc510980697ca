"""`countersign init`: makes everything needed to serve, once, and never overwrites anything."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from typer import BadParameter

from proxy import config
from proxy.admin.first_token import make_first_token
from proxy.cli.init_texts import ADMIN_LISTEN, LISTEN, Draft, InitOptions, TokenText, configuration, summary
from proxy.config.advice import quoted
from proxy.config.values import check_address, check_line, check_origin, command_line, split_address
from proxy.config.yaml import ConfigProblem, Where
from proxy.oci.faults import ConfigError
from proxy.server.token_plans import tokens_plan
from proxy.tokens import setup
from proxy.trust.pattern import check_pattern

LABEL = "countersign"
TRIAL_S = 10


def initialise(options: InitOptions, trial: Callable[[config.Settings], Sequence[str]] | None = None) -> str:
    """Return the text that lists what exists now and the next steps. Raises ConfigError.

    Every step keeps what it finds, and the configuration comes last: the next run finishes an interrupted one.
    `trial` returns what is found about the registry.
    """
    try:
        path = options.directory.absolute() / "countersign.yaml"
        kept = path.exists()
        settings, made = _completed(options, path) if kept else _made(options, path)
    except OSError as error:
        raise ConfigError(_refused(error, options.directory)) from None
    return summary(settings, made, (trial or tried)(settings), kept=kept)


def _made(options: InitOptions, path: Path) -> tuple[config.Settings, list[str]]:
    draft = _draft(options)  # before anything is written
    directory = path.parent
    directory.mkdir(parents=True, exist_ok=True)
    made: list[str] = []
    text = configuration(draft, _token(options, directory, made))
    settings = config.parse(text.encode(), path)
    _keys(settings, made)
    first = make_first_token(directory, datetime.now(UTC))
    if first is not None:
        made.append(
            f"{first}  (admin token, mode 0600; for 24 hours; then: countersign tokens create NAME --role ROLE)"
        )
    _write(directory / "countersign.schema.json", json.dumps(config.schema(), indent=2) + "\n")
    _write(path, text)
    return settings, [f"{path}", *made]


def _completed(options: InitOptions, path: Path) -> tuple[config.Settings, list[str]]:
    settings, document = config.parse_with_places(path.read_bytes(), path)
    differ = [
        ConfigProblem(document.mark(where), where, f"{option} says {given}, the file says {there or 'nothing'}").render(
            path
        )
        for option, given, there, where in _compared(options, settings)
        if given is not None and str(given) != str(there)
    ]
    if differ:
        text = "\n".join(f"  {each}" for each in differ)
        raise ConfigError(
            f"{path} exists, init never changes it, and these options contradict it:\n{text}\n"
            f"To change a setting, edit the file, then: countersign config validate --config {quoted(path)}\n"
            f"To make only what is missing: countersign init {quoted(path.parent)}"
        )
    made: list[str] = []
    _keys(settings, made)
    return settings, made


def _compared(options: InitOptions, settings: config.Settings) -> Iterator[tuple[str, object, object, Where]]:
    """Yield each option, its value or None, the value in the file, and the setting."""
    file = settings.file
    url = options.public_url and command_line(check_origin, options.public_url, "--public-url")
    yield "--public-url", url, settings.server.url, ("server", "public_urls", 0)
    yield "--listen", options.listen, settings.server.listen, ("server", "listen")
    yield "--admin-listen", options.admin_listen, settings.admin.listen, ("admin", "listen")
    upstream = options.upstream and command_line(check_origin, options.upstream, "--upstream")
    yield "--upstream", upstream, settings.upstream.url, ("upstreams", 0, "url")
    named = next(((n, t) for n, t in file.tokens.items() if t.label == options.token_label), None)
    name, token = named or next(iter(file.tokens.items()), ("hsm", None))
    yield "--module", options.module and options.module.absolute(), token and token.module, ("tokens", name, "module")
    yield "--token-label", options.token_label, token and token.label, ("tokens", name, "label")
    pin = options.pin_file and options.pin_file.absolute()
    yield "--pin-file", pin, token and token.pin.file, ("tokens", name, "pin")
    policy = next(iter(file.policies), None)
    patterns = policy.repositories if policy else ()
    given = options.repositories
    yield "--repositories", given, given if given in patterns else ", ".join(patterns), ("policies", 0, "repositories")
    mode = "warn" if options.adopt else None
    yield "--adopt", mode, policy and policy.pull.mode, ("policies", 0, "pull", "mode")
    yield "--contact", options.contact, policy and policy.contact, ("policies", 0, "contact")


def _refused(error: OSError, directory: Path) -> str:
    """Return why nothing can be written there, and what makes it possible."""
    directory, path = directory.absolute(), Path(error.filename or directory)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{path} is not a directory; give init another one: countersign init DIR --upstream URL"
    text = f"init cannot write {path} ({error.strerror})"
    if not isinstance(error, PermissionError):
        return f"{text}; give it a directory on a disk that can be written: countersign init DIR --upstream URL"
    user = pwd.getpwuid(os.geteuid()).pw_name
    owner = directory.owner() if os.access(directory, os.F_OK) else user
    if owner not in {user, "root"}:
        return (
            f"{text}; {directory} belongs to user {owner}.\n"
            f"Run it as that user: sudo -u {owner} countersign init {quoted(directory)} --upstream URL"
        )
    return (
        f"{text}; run it as the user that will run the server, in a directory of this user.\n"
        f"To give one to {user}: sudo install -d -o {user} -m 0750 {quoted(directory)}"
    )


def tried(settings: config.Settings) -> list[str]:
    """Return what a request to the registry finds, as lines of the doctor; what is as it should be is left out."""
    return asyncio.run(_tried(settings))


async def _tried(settings: config.Settings) -> list[str]:
    from proxy.server.doctor.upstream import check_upstream, unreachable
    from proxy.server.doctor_operations import found, nested

    try:
        async with asyncio.timeout(TRIAL_S):
            upstream, _ = await check_upstream(settings)
    except TimeoutError:
        upstream = unreachable(settings, f"no answer within {TRIAL_S} s")
    notable = tuple(each for each in upstream.inner if each.state in {"warning", "wrong"})
    row = found([replace(upstream, inner=notable)]).model_dump()["checks"][0]
    return list(nested(row, ""))


def _draft(options: InitOptions) -> Draft:
    if options.upstream is None:
        raise BadParameter(
            "needed for a new configuration: the registry, such as http://10.0.0.7:5000", param_hint="--upstream"
        )
    listen = command_line(check_address, options.listen or LISTEN, "--listen")
    host, port = split_address(listen)
    if options.public_url is None and host in {"0.0.0.0", "::"}:  # noqa: S104
        raise ConfigError(
            f"--listen {listen} is every address of this machine; give the URL that clients use with --public-url"
        )
    shown = f"[{host}]" if ":" in host else host
    return Draft(
        upstream=command_line(check_origin, options.upstream, "--upstream"),
        public_url=command_line(check_origin, options.public_url or f"http://{shown}:{port}", "--public-url"),
        listen=listen,
        admin_listen=command_line(check_address, options.admin_listen or ADMIN_LISTEN, "--admin-listen"),
        repositories=command_line(check_pattern, options.repositories or "**", "--repositories"),
        adopt=options.adopt,
        contact=None if options.contact is None else command_line(check_line, options.contact, "--contact"),
    )


def _token(options: InitOptions, directory: Path, made: list[str]) -> TokenText:
    if options.module is not None and options.token_label is not None and options.pin_file is not None:
        # HSM child processes inherit almost no environment, so the location of SoftHSM's tokens must be written down.
        conf = os.environ.get("SOFTHSM2_CONF") if "softhsm" in options.module.name else None
        environment = {"SOFTHSM2_CONF": str(Path(conf).absolute())} if conf else {}
        return TokenText(
            str(options.module.absolute()), options.token_label, str(options.pin_file.absolute()), environment
        )
    place = directory / "token"
    soft = setup.make_softhsm(place, LABEL, directory / "secrets" / "pin", directory / "secrets" / "so-pin")
    if soft.created:
        made.append(f"{place}  (SoftHSM token {LABEL!r}; its PIN is in {directory / 'secrets' / 'pin'}, mode 0600)")
    return TokenText(soft.module, LABEL, "secrets/pin", soft.environment)


def _keys(settings: config.Settings, made: list[str]) -> None:
    """Make the missing keys of this configuration on its tokens, and write their public halves to files.

    A key with a public half on file that is missing from the token is never made again: the new key would be a
    different one, and signatures of the old key would stop verifying.
    """
    plan = tokens_plan(settings)
    for name, token in plan.tokens.items():
        here = plan.on(name)
        publics = [
            settings.directory / "keys" / (f"{key.name}.pub" if name == key.tokens[0] else f"{key.name}-{name}.pub")
            for key in here
        ]
        wanted = [
            setup.WantedKey(key.label, key.algorithm, may_make=not public.exists(), else_=_lost(public, settings.path))
            for key, public in zip(here, publics, strict=True)
        ]
        there = asyncio.run(setup.make_keys(setup.token_settings(token), wanted))
        for key, public, found in zip(here, publics, there, strict=True):
            if found.created:
                made.append(f"key {key.name!r} on token {name!r} ({found.algorithm}, cannot be taken out)")
            if not public.exists():
                public.parent.mkdir(exist_ok=True)
                _write(public, found.pem)
                made.append(f"{public}")
            elif public.read_text().strip() != found.pem.strip():
                raise ConfigError(
                    f"{public} is not the public half of key {key.name!r} on token {name!r}; keep one of them"
                )


def _lost(public: Path, config: Path) -> str:
    """Return the advice for a key that was made here before and is missing from its token."""
    if not public.exists():
        return ""
    name = setup.fingerprint_of(public.read_bytes())
    return (
        f"{public} shows that it was made already. Restore the token that holds it; or, if it is lost for good: "
        f"countersign keys lost {name[:12]} --reason TEXT --config {quoted(config)} "
        "(with --offline where no server runs); "
        f"or, if no server has ever started here, remove {public} and run this again"
    )


def _write(path: Path, text: str) -> None:
    """Write a new file completely or not at all; an existing file is kept."""
    if path.exists():
        return
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
