"""What we signed, as values: intent, bytes, and where they were attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from proxy.oci.reference import Digest, Repository


class Stage(StrEnum):
    """How far a signature has come. A crash leaves the earlier stage; a retry goes on from there."""

    INTENDED = "intended"
    SIGNED = "signed"
    ATTACHED = "attached"
    REMOVED = "removed"


@dataclass(frozen=True)
class SignatureKey:
    """What makes a signature the same signature: signed once, however often it is pushed."""

    repository: Repository
    digest: Digest
    fingerprint: str
    format: str
    bound: str  # HOST/REPO or HOST/REPO:TAG, as in the payload


@dataclass(frozen=True)
class Entry:
    """One ledger row. `message` is what was signed, `signature` its bytes once there are any.

    `timestamp` is an RFC 3161 token over the signature, where one was obtained.
    """

    key: SignatureKey
    stage: Stage
    message: bytes = field(repr=False)
    at: datetime
    signature: bytes | None = field(default=None, repr=False)
    claims: Mapping[str, str] = field(default_factory=dict)
    artifact: Digest | None = None  # the manifest that carries it upstream
    timestamp: bytes = field(default=b"", repr=False)
