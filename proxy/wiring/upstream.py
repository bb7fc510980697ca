"""The registry behind us, as the configuration describes it."""

from __future__ import annotations

from proxy.config import Settings
from proxy.config.secrets import read_secret
from proxy.oci.faults import ConfigError
from proxy.upstream.client import Upstream


def upstream_of(settings: Settings, uploads_key: bytes | None = None) -> Upstream:
    """Return the client of the configured registry; nothing is asked yet. Raises ConfigError.

    Every server needs the same `uploads_key`: the next request of an upload may reach another one.
    """
    entry = settings.upstream
    credentials = None
    if entry.credentials is not None:
        password = read_secret(entry.credentials.password, f"password of {entry.credentials.username} upstream")
        credentials = (entry.credentials.username, password.value)
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
