"""Routes about certificates for our keys, with their request and response types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from proxy.admin.operation import ROOT, Route
from proxy.admin.shapes import Line, Why
from proxy.trust.roles import Permission
from proxy.trust.token_text import holds_token


def _certificates(text: str) -> str:
    """Return the text. Raises ValueError for a private key or a token in it, because the journal shows the text."""
    if "PRIVATE KEY" in text:
        raise ValueError("there is a private key in it; send certificates alone, and treat that key as known to others")
    if holds_token(text):
        raise ValueError("there is an admin token in it, and this is written down for others to read")
    return text


Pem = Annotated[str, StringConstraints(min_length=1, max_length=60_000), AfterValidator(_certificates)]
Subject = Annotated[Line, Field(description="as RFC 4514 writes it: C=DE,ST=Berlin,O=Example,CN=release")]


class CsrRequest(BaseModel, strict=True, extra="forbid", frozen=True):
    """For whom a certificate is wanted."""

    subject: Subject


class CsrMade(BaseModel, strict=True, extra="forbid", frozen=True):
    """A certificate request, signed by the key."""

    fingerprint: str = Field(description="of the key")
    csr: str = Field(description="PEM, for the CA")


class NewChain(Why, strict=True, extra="forbid", frozen=True):
    """The chain a CA issued for a key."""

    chain: Pem = Field(description="PEM: the key's certificate first, then each issuer, the root last")


class SelfSignedRequest(Why, strict=True, extra="forbid", frozen=True):
    """A chain of one, for development."""

    days: int = Field(default=365, ge=1, le=3650, description="how long it is valid")
    subject: Subject | None = Field(default=None, description="a default with the profile's name where left out")


class CertificateShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """One certificate of a chain."""

    subject: str
    issuer: str
    serial: str = Field(description="hex")
    thumbprint: str = Field(description="hex SHA-256 of the certificate")
    first: datetime = Field(description="valid from")
    last: datetime = Field(description="valid until")


class ChainShown(BaseModel, strict=True, extra="forbid", frozen=True):
    """A key's chain; empty where it has none."""

    fingerprint: str = Field(description="of the key")
    profile: str
    self_signed: bool = Field(description="nobody vouches for it: for development alone")
    certificates: tuple[CertificateShown, ...] = Field(description="leaf to root")
    chain: str = Field(description="PEM")


_CHAIN = f"{ROOT}/keys/{{fingerprint}}/chain"

ROUTES: tuple[Route, ...] = (
    Route("show_chain", "GET", _CHAIN, Permission.KEYS, "The certificate chain of this key.", ChainShown),
    Route(
        "set_chain", "POST", _CHAIN, Permission.CHANGE_KEYS, "Give this key the chain that a CA issued for it.",
        ChainShown, body=NewChain, plans=True,
    ),
    Route(
        "request_certificate", "POST", f"{ROOT}/keys/{{fingerprint}}/csr", Permission.CHANGE_KEYS,
        "Make a certificate request for this key.", CsrMade, body=CsrRequest,
    ),
    Route(
        "self_sign_key", "POST", f"{ROOT}/keys/{{fingerprint}}/self-signed", Permission.CHANGE_KEYS,
        "Give this key a chain of one, signed by itself: for development.", ChainShown, body=SelfSignedRequest,
        plans=True,
    ),
)  # fmt: skip
