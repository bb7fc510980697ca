"""The question, its subject, and the caller."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.oci.manifest import Manifest
from proxy.oci.reference import Digest, Reference, Repository, digest_of
from proxy.trust.names import is_reserved

NOTHING = digest_of(b"")  # placeholder for a digest or reference when a refusal has none


@dataclass(frozen=True)
class Question:
    """May this be pulled from this repository under this reference?"""

    repository: Repository
    reference: Reference


@dataclass(frozen=True)
class Resolved:
    """The bytes to be judged, with the digest computed from them and their media type."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)
    manifest: Manifest = field(repr=False)


@dataclass(frozen=True)
class Anonymous:
    """A caller without a proven name; `claimed` is the name the caller gave, for the record only."""

    claimed: str | None = None


@dataclass(frozen=True)
class Named:
    """A caller whose name is proven, and how: `basic`, `token` or `socket`."""

    name: str
    how: str


Caller = Anonymous | Named


def name_of(caller: Caller) -> str:
    """Return the proven name, or `anonymous`, as journal rows and signed claims show it.

    A registry user whose name is reserved for Countersign or the host's operator is marked as a registry user.
    """
    if not isinstance(caller, Named):
        return "anonymous"
    return f"{caller.name} (registry)" if is_reserved(caller.name) else caller.name


def how_of(caller: Caller) -> str:
    """Return how the name is proven; empty if it is not."""
    return caller.how if isinstance(caller, Named) else ""


_DESCRIPTOR, _ANNOTATION = 900, 100  # bytes of memory with the index of `Cache.bodies`, measured and rounded up


def of_manifest(held: Resolved) -> int:
    """Return the bytes of a manifest and its parsed form: up to nine times its own size."""
    m = held.manifest
    descriptors = [*m.layers, *m.children, *m.entries, *(each for each in (m.config, m.subject) if each is not None)]
    annotations = len(m.annotations) + sum(len(each.annotations) for each in descriptors)
    return len(held.body) + 512 + _DESCRIPTOR * len(descriptors) + _ANNOTATION * annotations
