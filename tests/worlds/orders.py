"""Denials and exceptions as operators would order them."""

from __future__ import annotations

from datetime import datetime, timedelta

from proxy.oci.reference import Digest
from proxy.trust.denial import EVERYWHERE, Denial
from proxy.trust.exception import PolicyException
from tests.worlds.memory import NOON


def denial(
    digest: Digest | None = None, repositories: str = EVERYWHERE, *, name: str = "d1", until: datetime | None = None
) -> Denial:
    """A denial of a digest everywhere, or of repositories."""
    return Denial(name, digest, repositories, "CVE-2026-1", "ann", NOON, until)


def exception(
    repositories: str = "team/app",
    digest: Digest | None = None,
    *,
    name: str = "e1",
    opened: datetime = NOON,
    hours: float = 2,
    unsigned_push: bool = False,
    offline: bool = False,
) -> PolicyException:
    """An exception, open for two hours from noon."""
    return PolicyException(
        id=name,
        repositories=repositories,
        digest=digest,
        unsigned_push=unsigned_push,
        reason="the incident of noon",
        by="ann",
        how="socket",
        opened=opened,
        until=opened + timedelta(hours=hours),
        offline=offline,
    )
