"""Operations on certificates for our keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, StringConstraints

from proxy.admin.operation import Argument, Call, Command, Option, Row, operation
from proxy.admin.shapes import Line, Shape, Why
from proxy.oci.duration import minute
from proxy.oci.faults import ConfigError, Invalid
from proxy.trust.keys import BookKey, fingerprint
from proxy.trust.names import holds_token
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from cryptography import x509

    from proxy.registry.ports_in_use import Ports

CHAIN_BYTES = 60_000


def _certificates(text: str) -> str:
    """Return the text. Raises ValueError for a private key or a token in it, because the journal shows the text."""
    if "PRIVATE KEY" in text:
        raise ValueError("it contains a private key; send certificates only, and treat that key as compromised")
    if holds_token(text):
        raise ValueError("it contains an admin token, and others will be able to read this text")
    return text


Pem = Annotated[str, StringConstraints(min_length=1, max_length=CHAIN_BYTES), AfterValidator(_certificates)]
_SUBJECT = "in the form of RFC 4514: C=DE,ST=Berlin,O=Example,CN=release"


class CertificateShown(Shape, frozen=True):
    """One certificate of a chain."""

    subject: str
    issuer: str
    serial: str = Field(description="hex")
    thumbprint: str = Field(description="hex SHA-256 of the certificate")
    first: datetime = Field(description="valid from")
    last: datetime = Field(description="valid until")


class ChainShown(Shape, frozen=True):
    """A key's chain; empty if it has none."""

    fingerprint: str = Field(description="fingerprint of the key")
    profile: str
    self_signed: bool = Field(description="it is self-signed: for development only")
    certificates: tuple[CertificateShown, ...] = Field(description="leaf to root")
    chain: str = Field(description="PEM")


def _lines(row: Row) -> list[str | tuple[str, ...]]:
    name = f"key {row['fingerprint']} of {row['profile']}"
    if not row["certificates"]:
        return [f"{name} has no chain"]
    head = ("SUBJECT", "ISSUER", "FROM", "UNTIL", "THUMBPRINT")
    return [f"{name}{' (self-signed)' if row['self_signed'] else ''}", head, *map(_row, row["certificates"])]


def _row(one: Row) -> tuple[str, ...]:
    return (one["subject"], one["issuer"], minute(one["first"]), minute(one["last"]), one["thumbprint"][:16])


def _shown(key: BookKey) -> ChainShown:
    from cryptography.hazmat.primitives.serialization import Encoding

    from proxy.formats.certificate import parse_certificate

    certificates = [parse_certificate(one) for one in key.chain]
    return ChainShown(
        fingerprint=key.fingerprint,
        profile=key.profile,
        self_signed=len(certificates) == 1,
        certificates=tuple(_certificate(one) for one in certificates),
        chain="".join(one.public_bytes(Encoding.PEM).decode() for one in certificates),
    )


def _certificate(one: x509.Certificate) -> CertificateShown:
    from cryptography.hazmat.primitives.serialization import Encoding

    return CertificateShown(
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        serial=f"{one.serial_number:x}",
        thumbprint=fingerprint(one.public_bytes(Encoding.DER)),
        first=one.not_valid_before_utc,
        last=one.not_valid_after_utc,
    )


_SHOW = Command("keys chain show", _lines, waits=lambda row: not row["certificates"])


@operation("GET /keys/{fingerprint}/chain", Permission.KEYS, _SHOW)
async def show_chain(call: Call) -> ChainShown:
    """Print the certificate chain of a key. Exit code 1: it has none."""
    from proxy.keys.lifecycle import find

    return _shown(find(call.path_params["fingerprint"], call.ports))


def _chain_in(file: Path) -> Row:
    """Return the chain in this file. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(CHAIN_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: allowed: PEM text, leaf to root (openssl x509 -in FILE -inform DER)") from None
    if len(data) > CHAIN_BYTES:
        raise ConfigError(f"{file}: more than {CHAIN_BYTES} bytes; allowed: the certificates of one chain")
    return {"chain": text}


class NewChain(Why, frozen=True):
    """The chain a CA issued for a key."""

    chain: Annotated[Pem, Argument("FILE", file=_chain_in)] = Field(
        description="PEM: the key's certificate first, then each issuer, the root last"
    )


def _chain(call: Call) -> tuple[bytes, ...]:
    from proxy.formats.certificate import from_pem

    try:
        return from_pem(call.body.chain.encode())
    except ValueError as error:
        raise Invalid(f"chain: {error}") from None


async def _plan_set(call: Call) -> tuple[str, ...]:
    from proxy.keys.certificates import plan

    planned = plan(call.path_params["fingerprint"], _chain(call), call.ports)
    key, count = planned.key, len(planned.chain)
    certificates = f"{count} certificate{'s'[: count != 1]}"
    gives = f"replace the chain of {key.described}:" if key.chain else f"give {key.described}"
    return (f"{gives} {certificates}", *planned.notes)


@operation("POST /keys/{fingerprint}/chain", Permission.CHANGE_KEYS, Command("keys chain set", _lines), plan=_plan_set)
async def set_chain(call: Call, body: NewChain) -> ChainShown:  # noqa: ARG001  read by `_chain`
    """Set the chain that a CA issued for a key. A refusal names every rule that the chain breaks."""
    from proxy.keys.certificates import set_chain as chained

    return _shown(await chained(call.path_params["fingerprint"], _chain(call), call.actor, call.ports))


class CsrRequest(Shape, frozen=True):
    """The subject of a certificate request."""

    subject: Annotated[Line, Option("NAME")] = Field(description=_SUBJECT)


class CsrMade(Shape, frozen=True):
    """A certificate request, signed by the key."""

    fingerprint: str = Field(description="fingerprint of the key")
    csr: str = Field(description="PEM, for the CA")


_CSR = Command("keys csr", lambda row: str(row["csr"]).splitlines())  # PEM alone, so that it can be piped


@operation("POST /keys/{fingerprint}/csr", Permission.CHANGE_KEYS, _CSR)
async def request_certificate(call: Call, body: CsrRequest) -> CsrMade:
    """Make a certificate request (PEM) for a key, signed by it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from proxy.keys.certificates import request_certificate as request
    from proxy.keys.lifecycle import find

    which = call.path_params["fingerprint"]
    pem = x509.load_der_x509_csr(await request(which, body.subject, call.ports)).public_bytes(Encoding.PEM).decode()
    return CsrMade(fingerprint=find(which, call.ports).fingerprint, csr=pem)


class SelfSignedRequest(Why, frozen=True):
    """A self-signed certificate, for development."""

    days: Annotated[int, Option(reads="number")] = Field(
        default=365, ge=1, le=3650, description="how many days it is valid"
    )
    subject: Annotated[Line | None, Option("NAME")] = Field(
        default=None, description=f"{_SUBJECT}; default: a name derived from the profile"
    )


def _subject(call: Call, key: BookKey, ports: Ports) -> str:
    """Return the requested subject, else one with the country, state and organisation that Notary requires."""
    return str(call.body.subject or f"CN={key.profile},O={ports.name} development,ST=none,C=XX")  # XX is no country


async def _plan_self_sign(call: Call) -> tuple[str, ...]:
    from proxy.keys.certificates import may_have_chain

    key = may_have_chain(call.path_params["fingerprint"], call.ports)
    ends, subject = call.now + timedelta(days=call.body.days), _subject(call, key, call.ports)
    return (
        f"sign a certificate of {key.described} with the key itself, as {subject}, until {ends:%Y-%m-%d}",
        "use it for development only, and replace it later with a CA's chain",
        *(("this replaces its present chain",) if key.chain else ()),
    )


_SELF_SIGN = Command(
    "keys self-signed", _lines,
    aside=lambda _: ["warning: use a self-signed certificate for development only"],
)  # fmt: skip


@operation("POST /keys/{fingerprint}/self-signed", Permission.CHANGE_KEYS, _SELF_SIGN, plan=_plan_self_sign)
async def self_sign_key(call: Call, body: SelfSignedRequest) -> ChainShown:
    """Give a key a self-signed certificate, for development."""
    from proxy.keys.certificates import may_have_chain, self_sign

    which, ports = call.path_params["fingerprint"], call.ports
    subject = _subject(call, may_have_chain(which, ports), ports)
    return _shown(await self_sign(which, subject, body.days, call.actor, ports))


OPERATIONS = (show_chain, set_chain, request_certificate, self_sign_key)
