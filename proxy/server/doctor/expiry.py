"""What `countersign doctor` says of certificates in the configuration, and of the one that upstream shows."""

from __future__ import annotations

from proxy.config import Settings
from proxy.oci.faults import ConfigError
from proxy.server.build import upstream_of
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.problems.expiry import due
from proxy.server.problems.expiry_watch import in_files, of_authorities, of_upstream
from proxy.store.port import Clock
from proxy.trust.authority import Authority


async def check_endings(settings: Settings, clock: Clock) -> DoctorFinding:
    """Say which of them end before long. Those of keys, lists and admin tokens are known to the running server."""
    found = [*await in_files(settings), *of_authorities(e for e in settings.trust if isinstance(e, Authority))]
    try:
        upstream = upstream_of(settings)
    except ConfigError:  # said by the check of upstream
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
        "certificates", "ok", f"{len(found)} looked at; warned of 60, 30 and 7 days ahead", inner=inner
    )
