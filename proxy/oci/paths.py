"""Request paths to operations and back: the only parser of registry paths and the only writer of upstream ones.

Paths are read as sent. No path of this protocol needs an escape, so nothing is decoded, and anything that another
server might decode, collapse or cut is refused. `parse(*render(op)) == op` for every operation that a client may
request: the continuation of upstream's own tag list (`ListTags.page`) is dropped from a client's request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import assert_never

from proxy.oci import operation as o
from proxy.oci import query as q
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import (
    Digest,
    Repository,
    Tag,
    is_digest,
    parse_digest,
    parse_manifest_reference,
    parse_repository,
    parse_tag,
    require_sha256,
)

PATH_LENGTH = 2048
SESSION_LENGTH = 512
TAGS = 32  # `?tag=` of one push; distribution-spec asks for at least 10
PAGE_LENGTH = 2048  # characters of an upstream's own paging parameters
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_PATH = _LETTERS | frozenset("/:._=~-")
_SESSION = _LETTERS | frozenset("._=~-")
_DEFAULTS = Limits()
_CLIENT_NOISE = frozenset({"ns", "origin"})  # containerd and crane tell a mirror which registry it mirrors

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "api": ("GET", "HEAD"),
    "catalog": ("GET",),
    "tags": ("GET",),
    "referrers": ("GET",),
    "manifests": ("GET", "HEAD", "PUT", "DELETE"),
    "blobs": ("GET", "HEAD", "DELETE"),
    "uploads": ("POST",),
    "upload": ("GET", "HEAD", "PATCH", "PUT", "DELETE"),
}


def parse(method: str, raw_path: str, raw_query: str = "", limits: Limits = _DEFAULTS) -> o.Operation:
    """Return the operation of this request line.

    `raw_path` and `raw_query` are as sent, without the '?'. Raises Fault: NAME_UNKNOWN for a path of no operation,
    NAME_INVALID for characters or names that no registry has, UNSUPPORTED (405) for another method on a known path.
    """
    if limits is _DEFAULTS and method in _READS and len(raw_path) + len(raw_query) <= SHORT:
        return _remembered(method, raw_path, raw_query)
    return _parsed(method, raw_path, raw_query, limits)


def _parsed(method: str, raw_path: str, raw_query: str, limits: Limits = _DEFAULTS) -> o.Operation:
    endpoint, name, last = _place(raw_path)
    if method == "OPTIONS":  # its path is parsed as strictly; only an upload's query is part of its address
        of = _parsed(ALLOWED[endpoint][0], raw_path, raw_query if endpoint == "upload" else "", limits)
        return o.Options(of)  # type: ignore[arg-type]  # the first method of each endpoint changes nothing
    if method not in ALLOWED[endpoint]:
        allowed = ", ".join(ALLOWED[endpoint])
        raise Fault("UNSUPPORTED", f"{method[:20]!a} is not supported here, only {allowed}", headers={"Allow": allowed})
    pairs = q.split(raw_query)
    if endpoint == "api":
        return o.CheckApi(head=method == "HEAD")
    if endpoint == "catalog":
        return o.ListRepositories(_count(pairs, limits), q.value(pairs, "last"))
    repository = parse_repository(name)
    match endpoint:
        case "tags":
            return o.ListTags(repository, _count(pairs, limits), q.value(pairs, "last"))
        case "referrers":
            return _referrers(repository, last, pairs)
        case "manifests":
            return _manifest(method, repository, last, pairs)
        case "blobs":
            return _blob(method, repository, parse_digest(last))
        case "uploads":
            return _start(repository, pairs)
        case _:
            return _upload(method, repository, _session(last), pairs)


_READS = frozenset({"GET", "HEAD"})
SHORT = 256  # characters; clients that pull the same few images repeatedly never send longer lines
_remembered = lru_cache(8192)(_parsed)  # pure; 10 MiB at most


def _place(raw_path: str) -> tuple[str, str, str]:
    """Return the endpoint, the name and the last segment.

    The path is read from the right: names may contain words such as `blobs` or `tags`, but references, digests and
    sessions contain no slash, so the last two or three segments decide and every path has one reading.
    """
    if raw_path == "/v2":
        return "api", "", ""  # registries redirect it to the path with the slash
    if not raw_path.startswith("/v2/"):
        raise Fault("NAME_UNKNOWN", f"no such path: {raw_path[:80]!a}; this registry answers below /v2/")
    if len(raw_path) > PATH_LENGTH:
        text = f"path of {len(raw_path)} characters; at most {PATH_LENGTH} are read: {raw_path[:80]!a}"
        raise Fault("NAME_INVALID", text)
    if not all(c in _PATH for c in raw_path):
        raise Fault("NAME_INVALID", f"path not valid: characters other than [A-Za-z0-9/:._=~-]: {raw_path[:80]!a}")
    segments = raw_path.removeprefix("/v2/").split("/")
    if "" in segments[:-1] or "." in segments or ".." in segments:
        raise Fault("NAME_INVALID", f"path has an empty or a dot segment: {raw_path[:80]!a}")
    match segments:
        case [""]:
            return "api", "", ""
        case ["_catalog"]:
            return "catalog", "", ""
        case [*name, "tags", "list"]:
            return "tags", "/".join(name), "list"
        case [*name, "blobs", "uploads", ""]:
            return "uploads", "/".join(name), ""
        case [*name, "blobs", "uploads", session]:
            return "upload", "/".join(name), session
        case [*name, ("manifests" | "blobs" | "referrers") as endpoint, last] if last:
            return endpoint, "/".join(name), last
    raise Fault("NAME_UNKNOWN", f"no such path in the distribution specification: {raw_path[:80]!a}")


def _session(text: str) -> str:
    if len(text) <= SESSION_LENGTH and all(c in _SESSION for c in text):
        return text
    size = f"{len(text)} characters, at most {SESSION_LENGTH} of [A-Za-z0-9._=~-] are read"
    raise Fault("BLOB_UPLOAD_INVALID", f"upload session not valid ({size}): {text[:80]!a}")


def _count(pairs: o.Query, limits: Limits) -> int | None:
    text = q.value(pairs, "n")
    if text is None:
        return None
    if len(text) > 19 or not all("0" <= c <= "9" for c in text):
        raise q.refused(f"query parameter n is not a number of entries: {text[:80]!a}")
    return min(int(text), limits.list_entries)


def _referrers(repository: Repository, last: str, pairs: o.Query) -> o.ListReferrers:
    digest = parse_digest(last)
    require_sha256(digest)
    page = q.opaque(pairs, {"artifacttype", *_CLIENT_NOISE})
    if (size := sum(len(key) + len(text) for key, text in page)) > PAGE_LENGTH:
        raise q.refused(f"paging parameters of {size} characters; at most {PAGE_LENGTH} are read")
    return o.ListReferrers(repository, digest, q.value(pairs, "artifactType"), page)


def _manifest(method: str, repository: Repository, last: str, pairs: o.Query) -> o.Operation:
    reference = parse_manifest_reference(last)
    if method == "DELETE":
        return o.DeleteManifest(repository, reference)
    if method != "PUT":
        return o.PullManifest(repository, reference, head=method == "HEAD")
    # `tag` has a meaning only on a push by digest; elsewhere it is dropped.
    tags: tuple[Tag, ...] = ()
    if is_digest(reference):
        tags = tuple(dict.fromkeys(parse_tag(text) for text in q.values(pairs, "tag")))
    if len(tags) > TAGS:
        raise Fault("MANIFEST_INVALID", f"a push may set {TAGS} tags at once, this one has {len(tags)}", status=414)
    return o.PushManifest(repository, reference, tags)


def _blob(method: str, repository: Repository, digest: Digest) -> o.Operation:
    if method == "DELETE":
        return o.DeleteBlob(repository, digest)
    return o.PullBlob(repository, digest, head=method == "HEAD")


def _start(repository: Repository, pairs: o.Query) -> o.StartUpload:
    mount, source = _digest(pairs, "mount"), q.value(pairs, "from")
    named = parse_repository(source) if mount is not None and source is not None else None
    return o.StartUpload(repository, _digest(pairs, "digest"), mount, named)


def _digest(pairs: o.Query, name: str) -> Digest | None:
    text = q.value(pairs, name)
    return None if text is None else parse_digest(text)


def _upload(method: str, repository: Repository, session: str, pairs: o.Query) -> o.Operation:
    state = q.opaque(pairs, {"digest"})
    match method:
        case "PATCH":
            return o.UploadChunk(repository, session, state)
        case "GET" | "HEAD":
            return o.UploadStatus(repository, session, state, head=method == "HEAD")
        case "DELETE":
            return o.CancelUpload(repository, session, state)
    digest = _digest(pairs, "digest")
    if digest is None:
        raise Fault("DIGEST_INVALID", "an upload is finished with the digest of the blob: ?digest= is missing")
    return o.FinishUpload(repository, session, digest, state)


def render(op: o.Operation) -> tuple[str, str]:
    """Return the method and the path with its quoted query for this operation; `parse` reads them back."""
    match op:
        case o.CheckApi():
            return _read(op.head), "/v2/"
        case o.ListRepositories():
            return "GET", "/v2/_catalog" + q.join((("n", _text(op.n)), ("last", op.last)))
        case o.ListTags():
            return "GET", f"/v2/{op.repository}/tags/list" + q.join((("n", _text(op.n)), ("last", op.last)), op.page)
        case o.ListReferrers():
            query = q.join((("artifactType", op.artifact_type),), op.page)
            return "GET", f"/v2/{op.repository}/referrers/{op.digest}{query}"
        case o.PullManifest():
            return _read(op.head), f"/v2/{op.repository}/manifests/{op.reference}"
        case o.PushManifest():
            query = q.join(("tag", tag) for tag in op.tags)
            return "PUT", f"/v2/{op.repository}/manifests/{op.reference}{query}"
        case o.DeleteManifest():
            return "DELETE", f"/v2/{op.repository}/manifests/{op.reference}"
        case o.PullBlob():
            return _read(op.head), f"/v2/{op.repository}/blobs/{op.digest}"
        case o.DeleteBlob():
            return "DELETE", f"/v2/{op.repository}/blobs/{op.digest}"
        case o.StartUpload():
            query = q.join((("digest", op.digest), ("mount", op.mount), ("from", op.source)))
            return "POST", f"/v2/{op.repository}/blobs/uploads/{query}"
        case o.UploadChunk():
            return "PATCH", _at_upload(op) + q.join((), op.state)
        case o.FinishUpload():
            return "PUT", _at_upload(op) + q.join((("digest", op.digest),), op.state)
        case o.UploadStatus():
            return _read(op.head), _at_upload(op) + q.join((), op.state)
        case o.CancelUpload():
            return "DELETE", _at_upload(op) + q.join((), op.state)
        case o.Options():
            return "OPTIONS", render(op.of)[1]
    assert_never(op)


def _at_upload(op: o.Upload) -> str:
    return f"/v2/{op.repository}/blobs/uploads/{op.session}"


def _read(head: bool) -> str:
    return "HEAD" if head else "GET"


def _text(count: int | None) -> str | None:
    return None if count is None else str(count)
