"""Our signatures as values: intent, bytes, and where they were attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from proxy.oci.reference import Digest, Repository


class Stage(StrEnum):
    """The progress of a signature. A crash leaves the earlier stage; a retry continues from there."""

    INTENDED = "intended"
    SIGNED = "signed"
    ATTACHED = "attached"
    REMOVED = "removed"


@dataclass(frozen=True)
class SignatureKey:
    """The identity of a signature: it is made once, however often it is pushed."""

    repository: Repository
    digest: Digest
    fingerprint: str
    format: str
    bound: str  # HOST/REPO or HOST/REPO:TAG, as in the payload


@dataclass(frozen=True)
class Entry:
    """One ledger row. `message` is the signed text, `signature` its bytes once it is signed.

    `timestamp` is an RFC 3161 token over the signature, if one was obtained.
    """

    key: SignatureKey
    stage: Stage
    message: bytes = field(repr=False)
    at: datetime
    signature: bytes | None = field(default=None, repr=False)
    claims: Mapping[str, str] = field(default_factory=dict)
    artifact: Digest | None = None  # the manifest that carries it upstream
    timestamp: bytes = field(default=b"", repr=False)
