"""What is asked of the world besides the registry, as the configuration describes it."""

from __future__ import annotations

import ssl

from proxy.config import Settings
from proxy.oci.faults import ConfigError
from proxy.upstream.outbound import Outbound


def outbound_of(settings: Settings) -> Outbound:
    """Return the client for configured URLs; nothing is asked yet. Raises ConfigError."""
    entry = settings.file.outbound
    try:
        return Outbound(entry.allow, None if entry.ca_file is None else str(entry.ca_file))
    except (OSError, ssl.SSLError) as wrong:
        raise ConfigError(f"outbound.ca_file: {entry.ca_file} does not load: {wrong}") from None
