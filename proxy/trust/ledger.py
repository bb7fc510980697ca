"""Our signatures as values: intent, bytes, and where they were attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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


_ORDER = (Stage.INTENDED, Stage.SIGNED, Stage.ATTACHED)


def merge(there: Entry | None, new: Entry) -> Entry:
    """Return the entry that is in the ledger after `new` was put.

    The entry that is further on is kept, and of two equal ones the first, except that a timestamp is added to a
    signature without one. A removed entry comes back with its signature and time, to be attached again as the same
    bytes: nothing is signed twice.
    """
    if there is None:
        return new
    if there.stage is Stage.REMOVED:
        if there.signature is None:
            return new
        return replace(there, stage=Stage.SIGNED, artifact=None)
    if there.stage is new.stage is Stage.SIGNED and there.signature == new.signature and not there.timestamp:
        return new if new.timestamp else there
    return new if _ORDER.index(new.stage) > _ORDER.index(there.stage) else there
