"""The operations of the distribution specification: one closed sum type.

`proxy.oci.paths` parses requests into these and renders them back; no other module writes an upstream URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.oci.reference import Digest, Reference, Repository, Tag

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CheckApi:
    """GET or HEAD /v2/."""

    head: bool = False


@dataclass(frozen=True)
class ListRepositories:
    """GET /v2/_catalog?n=&last=."""

    n: int | None = None
    last: str | None = None


@dataclass(frozen=True)
class ListTags:
    """GET /v2/<name>/tags/list?n=&last=; `page` is the continuation from an upstream's Link, never from a client."""

    repository: Repository
    n: int | None = None
    last: str | None = None
    page: Query = ()


@dataclass(frozen=True)
class ListReferrers:
    """GET /v2/<name>/referrers/<digest>?artifactType=; `page` holds an upstream's own paging parameters."""

    repository: Repository
    digest: Digest
    artifact_type: str | None = None
    page: Query = ()


@dataclass(frozen=True)
class PullManifest:
    """GET or HEAD /v2/<name>/manifests/<reference>."""

    repository: Repository
    reference: Reference
    head: bool = False


@dataclass(frozen=True)
class PushManifest:
    """PUT /v2/<name>/manifests/<reference>; `tags` are the `?tag=` values of a push by digest."""

    repository: Repository
    reference: Reference
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class DeleteManifest:
    """DELETE /v2/<name>/manifests/<reference>."""

    repository: Repository
    reference: Reference


@dataclass(frozen=True)
class PullBlob:
    """GET or HEAD /v2/<name>/blobs/<digest>."""

    repository: Repository
    digest: Digest
    head: bool = False


@dataclass(frozen=True)
class DeleteBlob:
    """DELETE /v2/<name>/blobs/<digest>."""

    repository: Repository
    digest: Digest


@dataclass(frozen=True)
class StartUpload:
    """POST /v2/<name>/blobs/uploads/: monolithic with `digest`, a mount with `mount` (from `source`, or anonymous)."""

    repository: Repository
    digest: Digest | None = None
    mount: Digest | None = None
    source: Repository | None = None


@dataclass(frozen=True)
class UploadChunk:
    """PATCH of an upload; `session` and `state` are upstream's own and pass through unchanged."""

    repository: Repository
    session: str
    state: Query = ()


@dataclass(frozen=True)
class FinishUpload:
    """PUT of an upload, with the digest of the whole blob."""

    repository: Repository
    session: str
    digest: Digest
    state: Query = ()


@dataclass(frozen=True)
class UploadStatus:
    """GET or HEAD of an upload."""

    repository: Repository
    session: str
    state: Query = ()
    head: bool = False


@dataclass(frozen=True)
class CancelUpload:
    """DELETE of an upload."""

    repository: Repository
    session: str
    state: Query = ()


@dataclass(frozen=True)
class Options:
    """OPTIONS of another operation's path: its methods, and the rights of a web page of another origin."""

    of: CheckApi | ListRepositories | ListTags | ListReferrers | PullManifest | PullBlob | StartUpload | UploadStatus


Upload = UploadChunk | FinishUpload | UploadStatus | CancelUpload
Operation = (
    CheckApi
    | ListRepositories
    | ListTags
    | ListReferrers
    | PullManifest
    | PushManifest
    | DeleteManifest
    | PullBlob
    | DeleteBlob
    | StartUpload
    | Options
    | Upload
)
