"""Builds parts of a server from the configuration: clients for outgoing requests, TLS and values for the listeners."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.config import Settings
from proxy.config.schema import Tls as Entry
from proxy.config.secrets import read_secret
from proxy.config.tls_files import Unusable, certificates_in, check_pair
from proxy.formats import timestamp
from proxy.oci.faults import ConfigError, Unavailable
from proxy.upstream.client import Upstream
from proxy.upstream.outbound import Outbound
from proxy.web.server import Tls

_TIMESTAMP = (timestamp.REQUEST_TYPE, timestamp.REPLY_TYPE)


def password_of(settings: Settings) -> str | None:
    """Return the password of our upstream account, read now; None when no account is configured. Raises ConfigError."""
    account = settings.upstream.credentials
    if account is None:
        return None
    return read_secret(account.password, f"password of {account.username} upstream").value


def upstream_of(settings: Settings, uploads_key: bytes | None = None) -> Upstream:
    """Return the client of the configured registry; no request is sent yet. Raises ConfigError.

    Every server needs the same `uploads_key`: the next request of an upload may reach another server.
    """
    entry, password = settings.upstream, password_of(settings)
    account = entry.credentials
    credentials = None if account is None or password is None else (account.username, password)
    certificate = None if entry.client_cert is None else (str(entry.client_cert), str(entry.client_cert))
    try:
        return Upstream(
            entry.url,
            credentials=credentials,
            ca_file=None if entry.ca_file is None else str(entry.ca_file),
            client_cert=certificate,
            limits=settings.limits,
            realms=entry.realms,
            blob_origins=entry.blob_origins,
            upload_origins=entry.upload_origins,
            uploads_key=uploads_key,
            name=settings.server.name,
            referrers=entry.referrers,
        )
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"upstreams[0]: {wrong}") from None


def outbound_of(settings: Settings) -> Outbound:
    """Return the client for configured URLs; no request is sent yet. Raises ConfigError."""
    entry = settings.file.outbound
    try:
        return Outbound(entry.allow, None if entry.ca_file is None else str(entry.ca_file))
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(f"outbound.ca_file: {entry.ca_file} does not load: {wrong}") from None


@dataclass(frozen=True)
class HttpTimestamper:
    """A Timestamper behind a URL (RFC 3161 section 3.4); its tokens must chain to one of `roots` (DER)."""

    outbound: Outbound
    url: str
    roots: frozenset[bytes]
    required: bool
    seconds: float

    async def stamp(self, signature: bytes) -> bytes:
        """Return a verified timestamp token over these bytes. Raises Unavailable."""
        request = timestamp.request(signature)
        limit = timestamp.TOKEN_BYTES
        reply = await self.outbound.post(self.url, request.body, _TIMESTAMP, limit=limit, seconds=self.seconds)
        try:
            return timestamp.token_of(reply, request, signature, self.roots)
        except ValueError as wrong:
            raise Unavailable(f"{self.url}: {wrong}") from None


def timestamper_of(settings: Settings, outbound: Outbound) -> HttpTimestamper | None:
    """Return the configured timestamper, or None."""
    entry = settings.file.timestamps
    if entry is None:
        return None
    seconds = settings.limits.outbound_deadline_s
    return HttpTimestamper(outbound, entry.url, frozenset(entry.ca_file), entry.required, seconds)


def served_with(name: str, entry: Entry | None, client_ca: Path | None = None) -> Tls | None:
    """Return a listener's TLS setup, None for plain HTTP. Raises ConfigError naming the setting and the file."""
    if entry is None:
        return None
    _usable(name, entry, client_ca)
    try:
        return Tls(entry.cert, entry.key, client_ca)
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(f"{name}: certificate, key or CA does not load: {wrong}") from None


def check_listeners(settings: Settings) -> None:
    """Check that every listener can use its TLS files as they are now. Raises ConfigError like `served_with`."""
    for name, entry, client_ca in (
        ("server.tls", settings.server.tls, None),
        ("admin.tls", settings.admin.tls, settings.admin.client_ca),
    ):
        if entry is not None:
            _usable(name, entry, client_ca)


def _usable(name: str, entry: Entry, client_ca: Path | None) -> None:
    try:
        check_pair(entry.cert, entry.key)
        if client_ca is not None:
            certificates_in(client_ca)
    except Unusable as wrong:
        raise ConfigError(f"{name}: {wrong}") from None


def told_by(settings: Settings) -> dict[str, Any]:
    """Return the public listener's settings that `Ports` copies at the start and at every reload."""
    at = settings.server
    return {"hosts": at.hosts, "url": at.url, "name": at.name, "hides_signature_tags": at.hide_signature_tags}
