"""What `countersign doctor` says of the bootstrap token."""

from __future__ import annotations

import stat

from proxy.config import Settings
from proxy.oci.faults import ConfigError
from proxy.ports import Clock
from proxy.trust.admin_token import over, too_far
from proxy.wiring.advice import quoted
from proxy.wiring.checkup import Finding
from proxy.wiring.first_token import first_token_file, read_first_token

NAME = "admin token"


def check_admin(settings: Settings, clock: Clock) -> Finding:
    """Look whether the file of the bootstrap token is still there, who can read it, and how long it is valid."""
    path = first_token_file(settings.directory)
    try:
        token = read_first_token(settings.directory)
        mode = path.stat().st_mode if token else 0
    except ConfigError as error:
        return Finding(NAME, "warning", str(error))
    except OSError as error:
        return Finding(NAME, "warning", f"{path}: {error.strerror}")
    if token is None:
        return Finding(NAME, "ok", "no bootstrap token lies about")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        shown = f"{stat.S_IMODE(mode):04o}"
        return Finding(
            NAME, "wrong", f"{path} may be read or written by others (mode {shown})", f"chmod 600 {quoted(path)}"
        )
    if (ended := over(token, clock.now())) is not None:
        return Finding(NAME, "warning", f"the bootstrap token in {path} {ended}", f"rm {quoted(path)}")
    if too_far(token, clock.now()):
        odd = f"the bootstrap token in {path} ends later than 24 hours from now: `countersign init` did not make it"
        return Finding(NAME, "wrong", odd, f"rm {quoted(path)}, and find out who may write there")
    ends = f"{token.expires:%Y-%m-%d %H:%M} UTC"
    fix = f"make tokens of your own (countersign tokens create NAME --role ROLE), then: rm {quoted(path)}"
    return Finding(NAME, "warning", f"the bootstrap token is still there, with both admin roles, until {ends}", fix)
