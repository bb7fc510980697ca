"""Settings of the listeners: the public one for clients, and the one for metrics and the admin API."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from cryptography import x509
from pydantic import AfterValidator, BaseModel, Field

from proxy.config.values import (
    Address,
    ExistingFile,
    Network,
    Origin,
    Pattern,
    Short,
    split_address,
)
from proxy.trust.names import name_refusal
from proxy.trust.roles import Role


class Tls(BaseModel, strict=True, extra="forbid", frozen=True):
    """Certificate and key of a listener; without it, it speaks plain HTTP."""

    cert: ExistingFile = Field(description="PEM file with the certificate and its chain")
    key: ExistingFile = Field(description="PEM file with the private key of the certificate")


class Server(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener that clients talk to."""

    listen: Address = Field(
        default="127.0.0.1:5000",
        description='HOST:PORT where clients connect; ":5000" and "[::]:5000" serve IPv4 and IPv6',
    )
    public_urls: tuple[Origin, ...] = Field(
        min_length=1, description="URLs that clients use, the canonical first; signatures are bound to its host"
    )
    tls: Tls | None = Field(default=None, description="serve HTTPS with this certificate; read again on SIGHUP")
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="networks of reverse proxies whose X-Forwarded-For is trusted"
    )
    hide_signature_tags: bool = Field(
        default=False,
        description="hide `sha256-...` names in lists of tags; tools that copy signatures by these names miss them",
    )
    name: Short = Field(default="countersign", description="the proxy's name in messages to clients")

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        return split_address(self.listen)

    @property
    def url(self) -> str:
        """The canonical public URL, without a trailing slash."""
        return self.public_urls[0]

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """The public names in image references: host[:port], canonical first."""
        return tuple(dict.fromkeys(url.partition("://")[2] for url in self.public_urls))


def _name(text: str) -> str:
    if (why := name_refusal(text)) is not None:
        raise ValueError(f"allowed: {why}" if "is a name" not in why else why)
    return text


def _named_by(text: str) -> str:
    kind, _, value = text.partition(":")
    if kind == "subject":
        try:
            x509.Name.from_rfc4514_string(value)
        except ValueError:
            value = ""
    if kind not in {"subject", "dns", "email", "uri"} or not value:
        raise ValueError("allowed: subject:CN=...,O=... or dns:NAME, email:ADDRESS, uri:URI of the alternative names")
    return text


class ClientCertificate(BaseModel, strict=True, extra="forbid", frozen=True):
    """A person who calls the admin API with a certificate instead of a token."""

    name: Annotated[str, AfterValidator(_name)] = Field(description="the person's name, as the journal shows it")
    match: Annotated[str, AfterValidator(_named_by)] = Field(
        description="what the certificate must contain: subject:DN, or an alternative name as dns:, email: or uri:"
    )
    roles: tuple[Annotated[Role, Field(strict=False)], ...] = Field(min_length=1, description="the person's roles")
    repositories: tuple[Pattern, ...] = Field(
        default=(), description="patterns of the person's repositories; empty: all, and calls about none"
    )


class Admin(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener for metrics, health and the admin API; keep it off the network."""

    listen: Address = Field(
        default="127.0.0.1:5001", description="HOST:PORT of /metrics, /livez, /readyz, /admin/v1; as server.listen"
    )
    tls: Tls | None = Field(default=None, description="serve HTTPS with this certificate; read again on SIGHUP")
    client_ca: ExistingFile | None = Field(
        default=None, description="PEM file with the CAs of client certificates; needs tls"
    )
    certificates: tuple[ClientCertificate, ...] = Field(
        default=(), description="people who call with a certificate of client_ca, and their roles"
    )
    dual_control: bool = Field(default=False, description="a second person must approve changes of keys and policies")

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        return split_address(self.listen)
