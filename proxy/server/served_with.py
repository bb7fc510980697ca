"""What a listener is served with: its certificate, and what it says of itself."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from proxy.config import Settings
from proxy.config.schema import Tls as Entry
from proxy.config.tls_files import Unusable, certificates_in, check_pair
from proxy.oci.faults import ConfigError
from proxy.web.server import Tls


def served_with(name: str, entry: Entry | None, client_ca: Path | None = None) -> Tls | None:
    """Return what a listener serves HTTPS with, or None for plain HTTP. Raises ConfigError naming setting and file."""
    if entry is None:
        return None
    _usable(name, entry, client_ca)
    try:
        return Tls(entry.cert, entry.key, client_ca)
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(f"{name}: certificate, key or CA does not load: {wrong}") from None


def check_listeners(settings: Settings) -> None:
    """Return where every listener can use its files as they are now. Raises ConfigError like `served_with`."""
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
    """Return what the house takes from the settings of the public listener, at the start and at a reload."""
    at = settings.server
    return {"hosts": at.hosts, "url": at.url, "name": at.name, "hides_signature_tags": at.hide_signature_tags}
