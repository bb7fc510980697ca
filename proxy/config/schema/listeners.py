"""Settings of the listeners: the one clients talk to, and the one for metrics and the admin API."""

from __future__ import annotations

from pydantic import BaseModel, Field

from proxy.config.values import (
    Address,
    ExistingFile,
    Network,
    Origin,
    Short,
    split_address,
)


class Tls(BaseModel, strict=True, extra="forbid", frozen=True):
    """Certificate and key of the public listener; without it the proxy speaks plain HTTP."""

    cert: ExistingFile = Field(description="PEM file with the certificate and its chain")
    key: ExistingFile = Field(description="PEM file with the private key of the certificate")


class Server(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener that clients talk to."""

    listen: Address = Field(default="127.0.0.1:5000", description="HOST:PORT where clients connect")
    public_urls: tuple[Origin, ...] = Field(
        min_length=1, description="URLs that clients use, the canonical first; signatures are bound to its host"
    )
    tls: Tls | None = Field(default=None, description="serve HTTPS with this certificate; read again on SIGHUP")
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="networks of reverse proxies whose X-Forwarded-For counts"
    )
    name: Short = Field(default="countersign", description="what the proxy calls itself in messages to clients")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return split_address(self.listen)

    @property
    def url(self) -> str:
        """The canonical public URL, without a slash at the end."""
        return self.public_urls[0]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Public names, as they stand in image references: host[:port], canonical first."""
        return tuple(dict.fromkeys(url.partition("://")[2] for url in self.public_urls))


class Admin(BaseModel, strict=True, extra="forbid", frozen=True):
    """The listener for metrics, health and the admin API; keep it off the network."""

    listen: Address = Field(default="127.0.0.1:5001", description="HOST:PORT of /metrics, /livez, /readyz, /admin/v1")
    dual_control: bool = Field(
        default=False, description="a second person must agree before keys change hands or policies change"
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return split_address(self.listen)
