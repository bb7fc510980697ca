"""The checks of `countersign doctor` on the bootstrap token, configured certificates and upstream's certificate."""

from __future__ import annotations

import stat

from proxy.admin.first_token import first_token_file, read_first_token
from proxy.admin.token import ends_too_late, expiry_reason
from proxy.config import Settings
from proxy.config.advice import quoted
from proxy.oci.faults import ConfigError
from proxy.server.build import upstream_of
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.problems.expiry import due
from proxy.server.problems.expiry_watch import in_files, of_authorities, of_upstream
from proxy.store.clock import Clock
from proxy.trust.authority import Authority

ADMIN = "admin token"


def check_admin(settings: Settings, clock: Clock) -> DoctorFinding:
    """Check whether the bootstrap token's file still exists, who can read it, and how long the token is valid."""
    path = first_token_file(settings.directory)
    try:
        token = read_first_token(settings.directory)
        mode = path.stat().st_mode if token else 0
    except ConfigError as error:
        return DoctorFinding(ADMIN, "warning", str(error))
    except OSError as error:
        return DoctorFinding(ADMIN, "warning", f"{path}: {error.strerror}")
    if token is None:
        return DoctorFinding(ADMIN, "ok", "no bootstrap token file is left")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        shown = f"{stat.S_IMODE(mode):04o}"
        return DoctorFinding(
            ADMIN, "wrong", f"{path} may be read or written by others (mode {shown})", f"chmod 600 {quoted(path)}"
        )
    if (ended := expiry_reason(token, clock.now())) is not None:
        return DoctorFinding(ADMIN, "warning", f"the bootstrap token in {path} {ended}", f"rm {quoted(path)}")
    if ends_too_late(token, clock.now()):
        odd = f"the bootstrap token in {path} ends later than 24 hours from now: `countersign init` did not make it"
        return DoctorFinding(ADMIN, "wrong", odd, f"rm {quoted(path)}, and find out who may write there")
    ends = f"{token.expires:%Y-%m-%d %H:%M} UTC"
    fix = f"make tokens of your own (countersign tokens create NAME --role ROLE), then: rm {quoted(path)}"
    return DoctorFinding(
        ADMIN, "warning", f"the bootstrap token is still there, with both admin roles, until {ends}", fix
    )


async def check_endings(settings: Settings, clock: Clock) -> DoctorFinding:
    """Check which certificates expire soon. Only the running server knows those of keys, lists and admin tokens."""
    found = [*await in_files(settings), *of_authorities(e for e in settings.trust if isinstance(e, Authority))]
    try:
        upstream = upstream_of(settings)
    except ConfigError:  # reported by the check of upstream
        upstream = None
    if upstream is not None:
        try:
            found += await of_upstream(settings, upstream.certificate)
        finally:
            await upstream.close()
    now = clock.now()
    inner = tuple(
        DoctorFinding(each.kind.value, "wrong" if now > each.at else "warning", each.says(now), each.next)
        for each in due(found, now)
    )
    if not found:
        return DoctorFinding("certificates", "skipped", "none is configured")
    return DoctorFinding(
        "certificates", "ok", f"{len(found)} checked; warnings come 60, 30 and 7 days ahead", inner=inner
    )
