"""Settings: parsed from YAML, checked as a whole, frozen. Errors name place, found value and allowed values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rfc8785
from pydantic import ValidationError

from proxy.config import checks, words
from proxy.config.policy_checks import Signers, is_attestation, signers
from proxy.config.schema import (
    Admin,
    ConfigFile,
    KeyEntry,
    KeylessTrust,
    KeyTrust,
    PoliciesFrom,
    PolicyEntry,
    Purpose,
    Server,
    Store,
    TokenEntry,
    TrustEntry,
    Upstream,
    X509Trust,
)
from proxy.config.section import section
from proxy.config.yaml import Document, read, refuse
from proxy.formats.identity import parse_subject
from proxy.oci.faults import ConfigError
from proxy.oci.limits import Limits
from proxy.trust.authority import Authority, KeylessSigner
from proxy.trust.keys import Trusted, TrustedKey
from proxy.trust.policy import Clause, Policy, PolicySet, PullRules, PushRules
from proxy.trust.schedule import KeyPlan

# other values with a leading / may be base64
_PLACES_IN = ("conf", "config", "dir", "directory", "file", "home", "path")


@dataclass(frozen=True)
class Settings:
    """The whole configuration at one revision. Paths are absolute; secrets are not read yet."""

    path: Path
    server: Server
    admin: Admin
    upstream: Upstream
    store: Store
    tokens: Mapping[str, TokenEntry]
    keys: Mapping[str, KeyEntry]
    trust: tuple[Trusted, ...]
    policies: PolicySet
    limits: Limits
    warnings: tuple[str, ...]
    policies_from: PoliciesFrom
    file: ConfigFile = field(repr=False)  # the file as parsed; policies that arrive later are checked against it
    section: tuple[str, int] = field(repr=False)  # the policies as written in the file, and their first line (0: none)
    _text: str = field(repr=False)

    @property
    def directory(self) -> Path:
        """The directory of the file; the state and the socket are beside the file."""
        return self.path.parent

    @property
    def socket(self) -> Path:
        """The Unix socket on which the running server answers commands."""
        return self.directory / "countersign.sock"

    @property
    def revision(self) -> str:
        """Hex SHA-256 of `redacted_text()`."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    def redacted_text(self) -> str:
        """Return all settings as canonical JSON (RFC 8785), defaults written out and secrets left out."""
        return self._text

    def policy_text(self) -> str:
        """Return the policies alone as canonical JSON: the text behind `policies.revision`."""
        return policy_text(self.policies.policies)

    @property
    def signers(self) -> Signers:
        """Return the names that policies may use."""
        return signers(self.file, str(self.path))

    @property
    def attesting(self) -> Mapping[str, bool]:
        """Every key of ours by name, with whether it is for attestations."""
        return {name: is_attestation(name, self.file) for name in self.keys}

    def purpose(self, name: str) -> Purpose:
        """Return the purpose of the key with that name."""
        return "attestation" if is_attestation(name, self.file) else "image"

    def plans(self) -> Mapping[str, KeyPlan]:
        """Return the rotation schedule of each key profile."""
        return {
            name: KeyPlan(entry.tokens, entry.terms, entry.rotate_every, entry.announce)
            for name, entry in self.keys.items()
        }

    def label(self, name: str) -> str:
        """Return that key's label on its tokens."""
        return self.keys[name].label or name


def load(path: Path) -> Settings:
    """Return the settings in this file. Raises ConfigError with a `file:line:column: path: ...` line per problem."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        make = ", or make one: countersign init --upstream URL" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{path}:1:1: cannot be read ({error.strerror}); give --config FILE{make}") from None
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> Settings:
    """Return the settings in these bytes; relative paths start at the directory of `path`. Raises ConfigError."""
    settings, _ = parse_with_places(raw, path)
    return settings


def parse_with_places(raw: bytes, path: Path) -> tuple[Settings, Document]:
    """Return the settings and the position of each in the file. Raises ConfigError."""
    path = path.absolute()
    document = read(raw, path)
    try:
        file = ConfigFile.model_validate(document.data, context={"base": path.parent})
    except ValidationError as error:
        refuse(words.problems(error, document), path)
        raise
    refuse(checks.problems(file, document), path)
    warned = sorted(checks.warnings(file, document), key=lambda p: (p.mark.line, p.mark.column))
    policies = policies_in(file.policies)
    settings = Settings(
        path=path,
        server=file.server,
        admin=file.admin,
        upstream=file.upstreams[0],
        store=file.store,
        tokens=MappingProxyType(file.tokens),
        keys=MappingProxyType(file.keys),
        trust=tuple(_trusted(name, entry) for name, entry in file.trust.items()),
        policies=policy_set(policy_text(policies), policies),
        limits=Limits(**file.limits.model_dump()),  # type: ignore[attr-defined]
        warnings=tuple(problem.render(path) for problem in warned),
        policies_from=file.policies_from,
        file=file,
        section=section(raw.decode(), document),
        _text=_redacted(file),
    )
    return settings, document


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}


def _trusted(name: str, entry: TrustEntry) -> Trusted:
    match entry:
        case KeyTrust():
            return TrustedKey(name, entry.public_key, entry.identity)
        case X509Trust():
            whom = tuple(map(parse_subject, entry.identities))
            stamps = frozenset(entry.tsa_ca_file or ())
            lenient = entry.crl_unavailable == "allow"
            return Authority(name, frozenset(entry.ca_file), whom, stamps, entry.crl, lenient)
        case KeylessTrust():
            return KeylessSigner(name, entry.issuer, entry.identities, entry.trusted_root)


def policies_in(entries: tuple[PolicyEntry, ...]) -> tuple[Policy, ...]:
    """Return the policies that these file entries describe."""
    written = [entry.model_dump() for entry in entries]
    for policy in written:
        policy["pull"]["head_on_denied"] = policy["pull"]["head_on_denied"] == "allow"
    return tuple(map(policy_of, written))


def policy_of(written: dict[str, Any]) -> Policy:
    """Return the policy that `policy_text` writes so."""
    pull, after = written["pull"], written["pull"]["enforce_after"]
    clauses = tuple(Clause(tuple(clause["signed_by"]), clause["at_least"]) for clause in pull["require"])
    since = datetime.fromisoformat(after) if isinstance(after, str) else after
    rules = PullRules(**{**_tuples(pull), "require": clauses, "enforce_after": since})
    return Policy(**{**_tuples(written), "push": PushRules(**_tuples(written["push"])), "pull": rules})


def _tuples(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in written.items()}


def policy_set(canonical: str, policies: tuple[Policy, ...]) -> PolicySet:
    """Return these policies with their revision, the hash of their content."""
    return PolicySet(hashlib.sha256(canonical.encode()).hexdigest(), policies)


def policy_text(policies: tuple[Policy, ...]) -> str:
    """Return policies as canonical JSON: the text behind their revision."""
    return _canonical([_plain(policy) for policy in policies])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _canonical(value: Any) -> str:
    text: bytes = rfc8785.dumps(value)
    return text.decode()


def _redacted(file: ConfigFile) -> str:
    """Return the settings with store URL and vendors' variables redacted; passwords and PINs are never in the file."""
    data = file.model_dump(mode="json")
    scheme, _, rest = file.store.url.partition("://")
    account, at, place = rest.rpartition("@")
    if scheme != "sqlite" and "?" in account:
        data["store"]["url"] = f"{scheme}://(hidden)"  # which of the two holds the password is unknown
    elif scheme != "sqlite":
        shown = f"{account.partition(':')[0]}:(hidden)@" if at else ""
        data["store"]["url"] = f"{scheme}://{shown}{place.partition('?')[0]}"
    for token in data["tokens"].values():
        token["environment"] = {
            name: value if value.startswith("/") and name.lower().endswith(_PLACES_IN) else "(hidden)"
            for name, value in token["environment"].items()
        }
    return _canonical(data)
