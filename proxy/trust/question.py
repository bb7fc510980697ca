"""What is being asked, of what, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.oci.manifest import Manifest
from proxy.oci.reference import Digest, Reference, Repository, digest_of
from proxy.trust.names import is_reserved

NOTHING = digest_of(b"")  # stands for the digest, or the reference, that a refusal is not about


@dataclass(frozen=True)
class Question:
    """May this be pulled from this repository under this reference?"""

    repository: Repository
    reference: Reference


@dataclass(frozen=True)
class Resolved:
    """The bytes under judgement, with the digest computed from them and their media type."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)
    manifest: Manifest = field(repr=False)


@dataclass(frozen=True)
class Anonymous:
    """A caller with no proven name; `claimed` is what they called themselves, for the record only."""

    claimed: str | None = None


@dataclass(frozen=True)
class Named:
    """A caller whose name is proven, and how: `basic`, `token` or `socket`."""

    name: str
    how: str


Caller = Anonymous | Named


def name_of(caller: Caller) -> str:
    """Return the proven name, or `anonymous`, as rows and signed claims have it.

    A user of the registry who is called as Countersign calls itself, or the host's operator, is marked as one.
    """
    if not isinstance(caller, Named):
        return "anonymous"
    return f"{caller.name} (registry)" if is_reserved(caller.name) else caller.name


def how_of(caller: Caller) -> str:
    """Return how the name is proven; empty where none is."""
    return caller.how if isinstance(caller, Named) else ""
