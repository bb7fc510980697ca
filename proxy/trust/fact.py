"""Facts about content that we hashed ourselves, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.oci.reference import Digest, Repository


@dataclass(frozen=True)
class ManifestFact:
    """This manifest, seen in this repository, lists these children and blobs.

    `artifact`: None not examined, True every layer parsed as the signature format it claims, False not every layer did.
    """

    repository: Repository
    digest: Digest
    media_type: str
    size: int
    children: tuple[Digest, ...] = ()
    blobs: tuple[Digest, ...] = ()
    subject: Digest | None = None
    artifact: bool | None = None


@dataclass(frozen=True)
class Listing:
    """Manifests that list a digest, recently passed ones first, then the newest; `whole`: there are no others."""

    digests: tuple[Digest, ...] = ()
    whole: bool = True
