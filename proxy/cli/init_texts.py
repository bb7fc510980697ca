"""The texts of `countersign init`: the configuration it writes and the summary it prints."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.config import Settings

LISTEN, ADMIN_LISTEN = "127.0.0.1:5000", "127.0.0.1:5001"


@dataclass(frozen=True)
class InitOptions:
    """The options of the command line; None: not given."""

    directory: Path
    upstream: str | None = None
    listen: str | None = None
    admin_listen: str | None = None
    public_url: str | None = None
    repositories: str | None = None
    adopt: bool = False
    contact: str | None = None
    module: Path | None = None
    token_label: str | None = None
    pin_file: Path | None = None


@dataclass(frozen=True)
class Draft:
    """The values of a new configuration."""

    upstream: str
    public_url: str
    listen: str = LISTEN
    admin_listen: str = ADMIN_LISTEN
    repositories: str = "**"
    adopt: bool = False
    contact: str | None = None


@dataclass(frozen=True)
class TokenText:
    """The token as described in the configuration file."""

    module: str
    label: str
    pin_file: str
    environment: dict[str, str]


def configuration(draft: Draft, token: TokenText) -> str:
    """Return the text of countersign.yaml, with a comment on each setting."""
    mode = (
        "warn                         # only warns, for the images that are not signed yet; then: enforce"
        if draft.adopt
        else "enforce                      # enforce | warn | 'off'"
    )
    contact = '# contact: "#platform-help"' if draft.contact is None else f"contact: {_text(draft.contact)}"
    environment = "".join(f"\n      {name}: {_text(value)}" for name, value in token.environment.items())
    return f"""\
# yaml-language-server: $schema=./countersign.schema.json
# Made by `countersign init`. Check it with `countersign config validate`; SIGHUP makes the running proxy read it again.
# Every setting with its default: config.example.yaml. Relative paths start from this file.
version: 1

server:
  listen: {_text(draft.listen)}
  # What clients use. Signatures are bound to the host of the first: changing it later means signing again.
  public_urls: [{_text(draft.public_url)}]
  # tls: {{cert: tls/cert.pem, key: tls/key.pem}}   # https needs it, or a reverse proxy named in trusted_proxies

admin:
  listen: {_text(draft.admin_listen)}   # /metrics /livez /readyz /admin/v1; keep it off the network

upstreams:
  - name: registry
    prefix: ""
    url: {_text(draft.upstream)}
    callers: passthrough                # callers reach it with credentials of their own
    # An account that may pull and push, if the registry wants a password: verify, why and sign read with it.
    # credentials: {{username: countersign, password: {{file: secrets/registry-password}}}}

store:
  url: sqlite:///countersign.db

tokens:
  hsm:
    module: {_text(token.module)}
    label: {_text(token.label)}
    pin: {{file: {_text(token.pin_file)}}}{"" if not environment else chr(10) + "    environment:" + environment}

keys:
  release: {{algorithm: ecdsa-p256, tokens: [hsm]}}
  attestation: {{algorithm: ecdsa-p256, tokens: [hsm]}}   # statements about images; never signs an image

# The most specific pattern wins. A repository without a policy is closed.
policies:
  - repositories: [{_text(draft.repositories)}]
    {contact:<35} # whom blocked callers should ask
    push:
      sign_with: [release]
      claims: [pusher, time]
    pull:
      mode: {mode}
      require:
        - {{signed_by: [release]}}
"""


def _text(value: str) -> str:
    """Return the text as a JSON string, which is always a valid YAML string."""
    return json.dumps(value)


def summary(settings: Settings, made: Sequence[str], checked: Sequence[str], *, kept: bool) -> str:
    """Return the list of what was made, what was found about the rest, and the next commands with the real names."""
    lines = []
    if kept:
        lines.append(f"{settings.path} exists already and was not changed.")
    lines += ["Made:", *(f"  {item}" for item in made)] if made else ["Nothing had to be made."]
    lines += ["Checked:", *(f"  {item}" for item in [*checked, *(f"[!!] {each}" for each in settings.warnings)])]
    return "\n".join([*lines, "", *_next(settings)]) + "\n"


def _next(settings: Settings) -> list[str]:
    host = settings.server.hosts[0]
    command = f"countersign serve --config {shlex.quote(str(settings.path))}"
    policy = settings.policies.policies[0] if settings.policies.policies else None
    image = f"{host}/{_example(policy.repositories[0] if policy else '**')}:1"
    lines = ["Next:", f"  {command}", f"  docker tag IMAGE {image} && docker push {image}"]
    lines.append(f"  countersign verify {image} --config {shlex.quote(str(settings.path))}")
    public = _public_key(settings)
    if public is not None:
        lines.append(f"  cosign verify --key {shlex.quote(str(public))} --insecure-ignore-tlog {image}")
    lines.append(f"  countersign client-config docker --config {shlex.quote(str(settings.path))}")
    lines += [
        "",
        f"Only this proxy may reach {settings.upstream.url}: the proxy neither checks what people pull there",
        "directly nor signs what they push there.",
    ]
    return lines


def _public_key(settings: Settings) -> Path | None:
    return next(
        (
            settings.directory / "keys" / f"{name}.pub"
            for policy in settings.policies.policies
            for name in policy.push.sign_with
        ),
        None,
    )


def _example(pattern: str) -> str:
    """Return a repository name that the pattern matches."""
    segments = ["demo" if part == "**" else part.replace("*", "demo") for part in pattern.split("/")]
    return "/".join(segments) if pattern != "**" else "demo/app"
