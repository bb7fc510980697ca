"""What `countersign doctor` says of the bootstrap token."""

from __future__ import annotations

import stat

from proxy.admin.first_token import first_token_file, read_first_token
from proxy.admin.token import ends_too_late, expiry_reason
from proxy.config import Settings
from proxy.config.advice import quoted
from proxy.oci.faults import ConfigError
from proxy.server.doctor.checkup import DoctorFinding
from proxy.store.port import Clock

NAME = "admin token"


def check_admin(settings: Settings, clock: Clock) -> DoctorFinding:
    """Look whether the file of the bootstrap token is still there, who can read it, and how long it is valid."""
    path = first_token_file(settings.directory)
    try:
        token = read_first_token(settings.directory)
        mode = path.stat().st_mode if token else 0
    except ConfigError as error:
        return DoctorFinding(NAME, "warning", str(error))
    except OSError as error:
        return DoctorFinding(NAME, "warning", f"{path}: {error.strerror}")
    if token is None:
        return DoctorFinding(NAME, "ok", "no bootstrap token lies about")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        shown = f"{stat.S_IMODE(mode):04o}"
        return DoctorFinding(
            NAME, "wrong", f"{path} may be read or written by others (mode {shown})", f"chmod 600 {quoted(path)}"
        )
    if (ended := expiry_reason(token, clock.now())) is not None:
        return DoctorFinding(NAME, "warning", f"the bootstrap token in {path} {ended}", f"rm {quoted(path)}")
    if ends_too_late(token, clock.now()):
        odd = f"the bootstrap token in {path} ends later than 24 hours from now: `countersign init` did not make it"
        return DoctorFinding(NAME, "wrong", odd, f"rm {quoted(path)}, and find out who may write there")
    ends = f"{token.expires:%Y-%m-%d %H:%M} UTC"
    fix = f"make tokens of your own (countersign tokens create NAME --role ROLE), then: rm {quoted(path)}"
    return DoctorFinding(
        NAME, "warning", f"the bootstrap token is still there, with both admin roles, until {ends}", fix
    )
