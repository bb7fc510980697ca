"""Whether upstream proves caller names: a name counts only if upstream would refuse it with another password."""

from __future__ import annotations

import base64
import secrets

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi
from proxy.registry.ports.upstream import Credential, Registry


async def names_proven(registry: Registry) -> bool | None:
    """True when upstream refuses a made-up name, False when it admits any name, None if it could not be asked."""
    guess = f"nobody-{secrets.token_hex(4)}:{secrets.token_urlsafe(16)}"
    try:
        for credential in (Credential(), Credential(f"Basic {base64.b64encode(guess.encode()).decode()}")):
            reply = await registry.perform(CheckApi(), credential)
            await reply.close()
            if reply.status == 401:
                return True
            if reply.status != 200:
                return None
    except (Unavailable, Corrupt, Fault):
        return None
    return False
