"""What must hold between settings: names that exist, keys with one purpose, policies that are never ambiguous."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations

from proxy.config.schema import ConfigFile, KeylessTrust, KeyTrust, PolicyEntry, X509Trust
from proxy.config.secrets import exposed
from proxy.config.yaml import Document, Problem, Where
from proxy.trust.names import same_name
from proxy.trust.pattern import Specificity, overlap, specificity

Complaint = tuple[Where, str]


def problems(file: ConfigFile, document: Document) -> list[Problem]:
    """Return everything that makes these settings contradict each other."""
    said = [*_server(file), *_admin(file), *_upstreams(file), *_keys(file), *_policies(file)]
    said += _overlaps(file, document)
    return [Problem(document.mark(where), where, text) for where, text in said]


def warnings(file: ConfigFile, document: Document) -> list[Problem]:
    """Return what is allowed and probably not meant."""
    return [Problem(document.mark(where), where, text) for where, text in _doubts(file)]


def is_attestation(name: str, file: ConfigFile) -> bool:
    """True when this key of ours is the one for statements about images, never for images themselves."""
    return (file.keys[name].purpose or ("attestation" if name == "attestation" else "image")) == "attestation"


def _server(file: ConfigFile) -> Iterator[Complaint]:
    if file.server.listen == file.admin.listen and file.server.address[1] != 0:
        yield ("admin", "listen"), f"found {file.admin.listen}, where clients connect already; allowed: another port"
    if len(set(file.server.public_urls)) != len(file.server.public_urls):
        yield ("server", "public_urls"), "found the same URL twice; each stands once"
    hosts = {url.partition("://")[2] for url in file.server.public_urls}
    own = [u for u in file.upstreams if u.url in file.server.public_urls or u.url.partition("://")[2] in hosts]
    if own:
        yield ("upstreams", 0, "url"), "found one of our own public_urls; allowed: the registry behind the proxy"


def _admin(file: ConfigFile) -> Iterator[Complaint]:
    admin = file.admin
    if admin.client_ca is not None and admin.tls is None:
        yield ("admin", "client_ca"), "client certificates are shown over HTTPS only; set admin.tls too"
    if admin.certificates and admin.client_ca is None:
        yield ("admin", "certificates"), "nobody says which CAs to take them from; set admin.client_ca"
    for at, person in enumerate(admin.certificates):
        before = admin.certificates[:at]
        if any(same_name(person.name) == same_name(other.name) for other in before):
            yield ("admin", "certificates", at, "name"), f"found {person.name} twice; each stands once"
        if any(person.match == other.match for other in before):
            yield ("admin", "certificates", at, "match"), f"found {person.match} twice: whose it is cannot be known"


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
                yield ("keys", name, "tokens", at), f"found {token}, which is not in `tokens`; {_one_of(file.tokens)}"
                continue
            other = places.setdefault((token, key.label or name), name)
            if other != name:
                label = key.label or name
                same = f"found label {label!a} on token {token}, which is key {other} already"
                yield ("keys", name), f"{same}; every name has a key of its own (attestations too)"
        if len(set(key.tokens)) != len(key.tokens):
            yield ("keys", name, "tokens"), "found the same token twice; each stands once"
        if name in file.trust:
            yield ("trust", name), f"found {name}, which is in `keys` too; a name means one thing"


def _policies(file: ConfigFile) -> Iterator[Complaint]:
    for at, policy in enumerate(file.policies):
        for position, name in enumerate(policy.push.sign_with):
            where: Where = ("policies", at, "push", "sign_with", position)
            if name in file.trust and name not in file.keys:
                yield where, f"found {name}, which is other people's key; allowed are ours: {_one_of(file.keys)}"
            elif name not in file.keys:
                yield where, f"found {name}, which is not in `keys`; {_one_of(file.keys)}"
            elif is_attestation(name, file):
                yield where, _ATTESTATION.format(name)
        yield from _pull(at, policy, file)


_ATTESTATION = (
    "found {}, the key for attestations; allowed: a key for images. One key cannot do both: "
    "a stock verifier takes any statement it signed for an image signature"
)


def _pull(at: int, policy: PolicyEntry, file: ConfigFile) -> Iterator[Complaint]:
    pull = policy.pull
    if pull.enforce_after is not None and pull.mode != "warn":
        yield ("policies", at, "pull", "enforce_after"), f"found with mode: {pull.mode}; allowed with mode: warn only"
    for number, clause in enumerate(pull.require):
        here: Where = ("policies", at, "pull", "require", number)
        for position, name in enumerate(clause.signed_by):
            where = (*here, "signed_by", position)
            if name not in file.keys and name not in file.trust:
                yield where, f"found {name}, which is in neither `keys` nor `trust`; {_one_of(file.keys, file.trust)}"
            elif name in file.keys and is_attestation(name, file):
                yield where, _ATTESTATION.format(name)
        different = {_judge(n, file) for n in clause.signed_by}
        if len(set(clause.signed_by)) != len(clause.signed_by):
            yield (*here, "signed_by"), "found the same name twice; each stands once"
        elif clause.at_least > len(different):
            most = f"allowed: 1 to {len(different)}, the number of different keys in signed_by"
            yield (*here, "at_least"), f"found {clause.at_least}; {most}"


def _judge(name: str, file: ConfigFile) -> object:
    """Return what tells one signer from another: an authority is one, however many it certifies, and an identity is
    one, whichever root vouches for it.
    """
    entry = file.trust.get(name)
    match entry:
        case None:
            return name
        case KeyTrust():
            return entry.public_key
        case X509Trust():
            return frozenset(entry.ca_file)
        case KeylessTrust():
            return (entry.issuer, frozenset(entry.identities))


def _overlaps(file: ConfigFile, document: Document) -> Iterator[Complaint]:
    """Two policies must never have an equal claim on one repository."""
    patterns: list[tuple[str, int, Where]] = [
        (pattern, at, ("policies", at, "repositories", position))
        for at, policy in enumerate(file.policies)
        for position, pattern in enumerate(policy.repositories)
    ]
    alike: dict[Specificity, list[tuple[str, int, Where]]] = {}
    for each in patterns:
        alike.setdefault(specificity(each[0]), []).append(each)
    pairs = (pair for some in alike.values() for pair in combinations(some, 2))
    for (one, first, there), (other, second, here) in pairs:
        if first != second and overlap(one, other):
            line = document.mark(there).line
            clash = f"found {other}, as specific as {one} in line {line}, and both can match one repository"
            yield here, f"{clash}; make one of them more specific, or join the policies"


def _one_of(*tables: Mapping[str, object]) -> str:
    names = [name for table in tables for name in table]
    return f"allowed: {', '.join(names)}" if names else "none is configured"


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
    if not _local(file.server.address[0]) and file.server.tls is None and not file.server.trusted_proxies:
        yield ("server",), "clients on the network are served without TLS: passwords cross it readable; set tls"
    if not _local(file.admin.address[0]):
        yield ("admin", "listen"), f"{file.admin.listen} is not loopback: anybody who reaches it reads the metrics"
    if not file.policies:
        yield ("policies",), "no policy: every repository is closed"
    for at, policy in enumerate(file.policies):
        pull = policy.pull
        if not pull.require and pull.mode != "off":
            yield ("policies", at, "pull", "require"), "the list is empty, which allows nobody to pull"
        elif not policy.push.sign_with and pull.mode == "enforce" and not _foreign(policy, file):
            yield ("policies", at, "push", "sign_with"), "pushes are not signed, so what is pushed cannot be pulled"
        if policy.contact is None and pull.mode == "enforce":
            yield ("policies", at), "no contact: whoever is blocked is not told whom to ask"
        if policy.push.sign_with and not policy.push.formats:
            yield ("policies", at, "push", "formats"), "the list is empty, so nothing is signed"


def _foreign(policy: PolicyEntry, file: ConfigFile) -> bool:
    return all(any(name in file.trust for name in clause.signed_by) for clause in policy.pull.require)


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
