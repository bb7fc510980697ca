"""Checks across settings: referenced names exist, each key has one purpose, listeners do not overlap."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from proxy.config.policy_checks import Complaint, complaints, doubts, one_of, signers
from proxy.config.schema import ConfigFile
from proxy.config.secrets import exposed
from proxy.config.yaml import ConfigProblem, Document, Where
from proxy.trust.names import same_name


def problems(file: ConfigFile, document: Document) -> list[ConfigProblem]:
    """Return every contradiction between these settings."""
    said = [*_server(file), *_admin(file), *_upstreams(file), *_keys(file)]
    said += complaints(file.policies, signers(file, ""), document)
    return [ConfigProblem(document.mark(where), where, text) for where, text in said]


def warnings(file: ConfigFile, document: Document) -> list[ConfigProblem]:
    """Return settings that are allowed but probably unintended."""
    said = [*_doubts(file), *doubts(file.policies, signers(file, ""))]
    return [ConfigProblem(document.mark(where), where, text) for where, text in said]


def _server(file: ConfigFile) -> Iterator[Complaint]:
    if _overlap(file.server.address, file.admin.address):
        yield ("admin", "listen"), f"found {file.admin.listen}, where clients connect already; allowed: another port"
    if len(set(file.server.public_urls)) != len(file.server.public_urls):
        yield ("server", "public_urls"), "found the same URL twice; list it once"
    hosts = {url.partition("://")[2] for url in file.server.public_urls}
    own = [u for u in file.upstreams if u.url in file.server.public_urls or u.url.partition("://")[2] in hosts]
    if own:
        yield ("upstreams", 0, "url"), "found one of our own public_urls; allowed: the registry behind the proxy"


def _overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """True if both would listen on one address: `::` means all of both families, 0.0.0.0 all of IPv4."""
    hosts = {one[0], other[0]}
    wide = "::" in hosts or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))  # noqa: S104
    return one[1] == other[1] != 0 and (wide or len(hosts) == 1)


def _admin(file: ConfigFile) -> Iterator[Complaint]:
    admin = file.admin
    if admin.client_ca is not None and admin.tls is None:
        yield ("admin", "client_ca"), "client certificates need HTTPS; set admin.tls too"
    if admin.certificates and admin.client_ca is None:
        yield ("admin", "certificates"), "their CAs are not configured; set admin.client_ca"
    for at, person in enumerate(admin.certificates):
        before = admin.certificates[:at]
        if any(same_name(person.name) == same_name(other.name) for other in before):
            yield ("admin", "certificates", at, "name"), f"found {person.name} twice; list it once"
        if any(person.match == other.match for other in before):
            yield ("admin", "certificates", at, "match"), f"found {person.match} twice; it must identify one person"


def _upstreams(file: ConfigFile) -> Iterator[Complaint]:
    if len(file.upstreams) != 1:
        where: Where = ("upstreams", 1) if file.upstreams else ("upstreams",)
        found = "a second upstream" if file.upstreams else "no upstream"
        yield where, f"found {found}; for now exactly one serves all repositories"


def _keys(file: ConfigFile) -> Iterator[Complaint]:
    places: dict[tuple[str, str], str] = {}
    for name, key in file.keys.items():
        for at, token in enumerate(key.tokens):
            if token not in file.tokens:
                yield ("keys", name, "tokens", at), f"found {token}, which is not in `tokens`; {one_of(file.tokens)}"
                continue
            other = places.setdefault((token, key.label or name), name)
            if other != name:
                label = key.label or name
                same = f"found label {label!a} on token {token}, which is key {other} already"
                yield ("keys", name), f"{same}; every name needs its own key (attestations too)"
        if len(set(key.tokens)) != len(key.tokens):
            yield ("keys", name, "tokens"), "found the same token twice; list it once"
        if name in file.trust:
            yield ("trust", name), f"found {name}, which is in `keys` too; a name means one thing"


def _doubts(file: ConfigFile) -> Iterator[Complaint]:
    for name, token in file.tokens.items():
        warned = exposed(token.pin, f"PIN of token {name}")
        if warned:
            yield ("tokens", name, "pin"), warned
    for at, upstream in enumerate(file.upstreams):
        account = upstream.credentials
        warned = exposed(account.password, f"password for upstream {upstream.name}") if account else None
        if warned:
            yield ("upstreams", at, "credentials", "password"), warned
    plain = file.server.tls is None and not file.server.trusted_proxies
    if plain and file.server.url.startswith("https:"):
        said = f"clients use {file.server.url}, and are served without TLS: set server.tls (cert and key), or put a "
        yield ("server",), f"{said}reverse proxy with a certificate in front and name it in server.trusted_proxies"
    elif plain and not _local(file.server.address[0]):
        yield ("server",), "clients on the network are served without TLS: passwords travel unencrypted; set tls"
    if not _local(file.admin.address[0]):
        yield ("admin", "listen"), f"{file.admin.listen} is not loopback: anyone who can reach it can read the metrics"


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
