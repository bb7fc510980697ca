"""The certificate of a listener."""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.config.schema import Tls as Entry
from proxy.oci.faults import ConfigError
from proxy.web.server import Tls


def served_with(name: str, entry: Entry | None, client_ca: Path | None = None) -> Tls | None:
    """Return what a listener serves HTTPS with, or None for plain HTTP. Raises ConfigError that names the setting."""
    if entry is None:
        return None
    try:
        return Tls(entry.cert, entry.key, client_ca)
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(f"{name}: certificate, key or CA does not load: {wrong}") from None
