"""The registry behind us, as the configuration describes it."""

from __future__ import annotations

from proxy.config import Settings
from proxy.config.secrets import read_secret
from proxy.oci.faults import ConfigError
from proxy.upstream.client import Upstream


def password_of(settings: Settings) -> str | None:
    """Return the password of our account as it is written now, None where we have no account. Raises ConfigError."""
    account = settings.upstream.credentials
    if account is None:
        return None
    return read_secret(account.password, f"password of {account.username} upstream").value


def upstream_of(settings: Settings, uploads_key: bytes | None = None) -> Upstream:
    """Return the client of the configured registry; nothing is asked yet. Raises ConfigError.

    Every server needs the same `uploads_key`: the next request of an upload may reach another one.
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
