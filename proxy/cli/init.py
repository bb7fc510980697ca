"""`countersign init`: makes everything needed to serve, once, and never overwrites anything."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

from proxy import config
from proxy.admin.first_token import make_first_token
from proxy.cli.init_texts import InitOptions, TokenText, configuration, summary
from proxy.config.values import check_address, check_origin, command_line, split_address
from proxy.oci.faults import ConfigError
from proxy.server.token_plans import tokens_plan
from proxy.tokens import setup
from proxy.trust.pattern import check_pattern

LABEL = "countersign"


def initialise(wish: InitOptions) -> str:
    """Return the text that lists what exists now and the next steps. Raises ConfigError.

    Every step keeps what it finds, and the configuration comes last: the next run finishes an interrupted one.
    """
    directory = wish.directory.absolute()
    path = directory / "countersign.yaml"
    if path.exists():
        return _again(path)
    written = _checked(wish)  # before anything is written
    directory.mkdir(parents=True, exist_ok=True)
    made: list[str] = []
    token = _token(wish, directory, made)
    draft = configuration(written, token)
    settings = config.parse(draft.encode(), path)
    _keys(settings, made)
    first = make_first_token(directory, datetime.now(UTC))
    if first is not None:
        made.append(
            f"{first}  (admin token, mode 0600; for 24 hours; then: countersign tokens create NAME --role ROLE)"
        )
    _write(directory / "countersign.schema.json", json.dumps(config.schema(), indent=2) + "\n")
    _write(path, draft)
    made.insert(0, f"{path}")
    return summary(settings, made, kept=False)


def _again(path: Path) -> str:
    settings = config.load(path)
    made: list[str] = []
    _keys(settings, made)
    return summary(settings, made, kept=True)


def _checked(wish: InitOptions) -> InitOptions:
    host, port = split_address(command_line(check_address, wish.listen, "--listen"))
    command_line(check_address, wish.admin_listen, "--admin-listen")
    if wish.public_url is None and host in {"0.0.0.0", "::"}:  # noqa: S104
        raise ConfigError(
            f"--listen {wish.listen} is every address of this machine; give the URL that clients use with --public-url"
        )
    shown = f"[{host}]" if ":" in host else host
    return InitOptions(
        directory=wish.directory,
        upstream=command_line(check_origin, wish.upstream, "--upstream"),
        listen=wish.listen,
        admin_listen=wish.admin_listen,
        public_url=command_line(check_origin, wish.public_url or f"http://{shown}:{port}", "--public-url"),
        repositories=command_line(check_pattern, wish.repositories, "--repositories"),
        adopt=wish.adopt,
        module=wish.module,
        token_label=wish.token_label,
        pin_file=wish.pin_file,
    )


def _token(wish: InitOptions, directory: Path, made: list[str]) -> TokenText:
    if wish.module is not None and wish.token_label is not None and wish.pin_file is not None:
        # HSM child processes inherit almost no environment, so the location of SoftHSM's tokens must be written down.
        conf = os.environ.get("SOFTHSM2_CONF") if "softhsm" in wish.module.name else None
        environment = {"SOFTHSM2_CONF": str(Path(conf).absolute())} if conf else {}
        return TokenText(str(wish.module.absolute()), wish.token_label, str(wish.pin_file.absolute()), environment)
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
        f"countersign keys lost {name[:12]} --reason TEXT --config {shlex.quote(str(config))} "
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
