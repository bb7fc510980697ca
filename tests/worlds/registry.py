"""A registry in memory: it implements the Registry port directly, and can be made to lie, fail, wait and remember."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field

from proxy.oci import operation as ops
from proxy.oci.faults import Unavailable
from proxy.oci.operation import Operation
from proxy.oci.reference import Digest, Repository, digest_of, is_digest, matches
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi, UpstreamResponse
from tests.worlds.registry_access import Access, basic
from tests.worlds.registry_words import MemoryReply, Said, Seen, action, content, created, error, page, upload

OCI_INDEX = "application/vnd.oci.image.index.v1+json"

__all__ = ["Access", "MemoryRegistry", "Said", "Seen", "basic", "error"]


@dataclass
class Shelf:
    """One repository."""

    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # digest -> media type, body
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


class MemoryRegistry:
    """The distribution specification over dictionaries.

    `hooks` see each request first: one that returns a Said has answered it, one that raises has broken it.
    `lies` see each answer last and may replace it. `pause` is awaited before anything else. `cuts` maps an operation
    class to the number of body bytes after which its replies break off. `seen` is everything that was ever asked.
    """

    def __init__(
        self, *, referrers: bool | None = True, access: Access | None = None, needs_blobs: bool = True
    ) -> None:
        self.referrers = referrers
        self.access = access or Access()
        self.needs_blobs = needs_blobs
        self.shelves: dict[str, Shelf] = {}
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.seen: list[Seen] = []
        self.hooks: list[Callable[[Seen], Said | None]] = []
        self.lies: list[Callable[[Seen, Said], Said]] = []
        self.pause: Callable[[Seen], Awaitable[None]] | None = None
        self.cuts: dict[type, int] = {}
        self.referrers_down = False
        self.transfers = 0
        self.single_post = True  # whether a blob may come in one POST; distribution only takes two requests
        self.elsewhere: dict[str, bytes] = {}  # object storage: URL -> blob
        self.ours: str | None = None  # what Credential(ours=True) stands for
        self._sessions = 0

    # The port

    async def perform(
        self,
        operation: Operation,
        credential: Credential,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterable[bytes] | None = None,
        length: int | None = None,
        transfer: bool = False,
    ) -> UpstreamResponse:
        """Answer one operation."""
        self.transfers += transfer
        data = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            data = b"".join([chunk async for chunk in body])
        if length is not None and length != len(data):
            raise Unavailable(f"upstream: promised {length} bytes, got {len(data)}")
        authorization = self.ours if credential.ours else credential.authorization
        said = await self.take(Seen(operation, authorization, headers, data))
        return MemoryReply(said, self.cuts.get(type(operation)))

    async def follow(self, reply: UpstreamResponse) -> UpstreamResponse:
        """Hand out what `elsewhere` holds under the Location, once."""
        target = next((value for name, value in reply.headers if name == "location"), "")
        await reply.close()
        if target not in self.elsewhere:
            raise Unavailable(f"upstream keeps this blob at {target}, which we may not ask")
        return MemoryReply(Said(200, (), self.elsewhere[target]), None)

    async def referrers_api(
        self, repository: Repository, subject: Digest, credential: Credential
    ) -> ReferrersApi:  # the port's shape
        """Tell whether the API is there (None in `referrers`: it does not say), or break while `referrers_down`."""
        if self.referrers_down:
            raise Unavailable(f"upstream: referrers of {repository} could not be read")
        said = {True: ReferrersApi.HAS, False: ReferrersApi.HAS_NOT, None: ReferrersApi.UNKNOWN}
        return said[self.referrers]

    async def take(self, seen: Seen) -> Said:
        """Record one request and answer it, hooks and lies included."""
        self.seen.append(seen)
        if self.pause is not None:
            await self.pause(seen)
        said = next((s for s in (hook(seen) for hook in self.hooks) if s is not None), None) or self.answer(seen)
        for lie in self.lies:
            said = lie(seen, said)
        bare = getattr(seen.operation, "head", False)
        return Said(said.status, said.headers, b"") if bare else said

    # For tests

    def count(self, *kinds: type) -> int:
        """Return how many requests of these kinds arrived."""
        return sum(isinstance(seen.operation, kinds) for seen in self.seen)

    def fail(self, kind: type, status: int = 500, times: int = 1) -> None:
        """Answer the next requests of one kind with a status; 0 breaks the connection instead."""
        left = times

        def hook(seen: Seen) -> Said | None:
            nonlocal left
            if not isinstance(seen.operation, kind) or left <= 0:
                return None
            left -= 1
            if status == 0:
                raise Unavailable("upstream: connection reset")
            return error(status, "TOOMANYREQUESTS" if status == 429 else "UNKNOWN")

        self.hooks.append(hook)

    def shelf(self, repository: str) -> Shelf:
        """Return a repository, made when it is not there."""
        return self.shelves.setdefault(repository, Shelf())

    def put_blob(self, repository: str, data: bytes) -> Digest:
        """Put a blob in place, asking nobody."""
        digest = digest_of(data)
        self.shelf(repository).blobs[digest] = data
        return digest

    def put_manifest(self, repository: str, body: bytes, media_type: str, *tags: str) -> Digest:
        """Put a manifest in place, asking nobody, and point tags at it."""
        digest = digest_of(body)
        self.shelf(repository).manifests[digest] = (media_type, body)
        self.shelf(repository).tags.update(dict.fromkeys(tags, digest))
        return digest

    # The specification

    def answer(self, seen: Seen) -> Said:
        """Answer as the specification says."""
        op = seen.operation
        repository = getattr(op, "repository", None)
        refusal = self.access.refusal(seen.authorization, repository, action(op))
        if refusal is not None:
            return refusal
        match op:
            case ops.CheckApi():
                return Said(200, (("docker-distribution-api-version", "registry/2.0"),), b"{}")
            case ops.ListRepositories():
                return page("repositories", sorted(self.shelves), op.n, op.last, "/v2/_catalog", {})
            case ops.ListTags():
                if op.repository not in self.shelves:
                    return error(404, "NAME_UNKNOWN")
                tags = sorted(self.shelf(op.repository).tags)
                path = f"/v2/{op.repository}/tags/list"
                return page("tags", tags, op.n, op.last, path, {"name": op.repository})
            case ops.ListReferrers():
                return self._list_referrers(op)
            case ops.PullManifest():
                return self._pull_manifest(op, seen)
            case ops.PushManifest():
                return self._push_manifest(op, seen)
            case ops.DeleteManifest():
                return self._delete_manifest(op)
            case ops.PullBlob():
                return self._pull_blob(op, seen)
            case ops.DeleteBlob():
                gone = self.shelf(op.repository).blobs.pop(op.digest, None)
                return error(404, "BLOB_UNKNOWN") if gone is None else Said(202, (("content-length", "0"),))
            case ops.StartUpload():
                return self._start(op, seen)
            case ops.Options():
                return Said(200, (("allow", "GET"), ("content-length", "0")))
        return self._continue(op, seen)

    def _pull_manifest(self, op: ops.PullManifest, seen: Seen) -> Said:
        shelf = self.shelves.get(op.repository, Shelf())
        digest = op.reference if is_digest(op.reference) else shelf.tags.get(op.reference, "")
        if digest not in shelf.manifests:
            return error(404, "MANIFEST_UNKNOWN", f"manifest unknown: {op.reference}")
        media_type, body = shelf.manifests[digest]
        accepted = {part.split(";")[0].strip() for value in seen.values("accept") for part in value.split(",")}
        if media_type.startswith("application/vnd.oci.") and not accepted & {media_type, "*/*"}:
            return error(404, "MANIFEST_UNKNOWN", "OCI manifest found, but accept header does not support it")
        return content(seen, body, media_type, digest)

    def _push_manifest(self, op: ops.PushManifest, seen: Seen) -> Said:
        if is_digest(op.reference) and not matches(Digest(op.reference), seen.body):
            return error(400, "DIGEST_INVALID")
        try:
            document = json.loads(seen.body)
        except ValueError:
            return error(400, "MANIFEST_INVALID")
        shelf = self.shelf(op.repository)
        blobs = [document["config"]] if "config" in document else []
        missing = [d["digest"] for d in (*blobs, *document.get("layers", ())) if d["digest"] not in shelf.blobs]
        entries = [d["digest"] for d in document.get("manifests", ())]
        missing += [digest for digest in entries if digest not in shelf.manifests and digest not in shelf.blobs]
        if missing and self.needs_blobs:
            return error(404, "MANIFEST_BLOB_UNKNOWN", f"blob unknown: {missing[0]}")
        media_type = next(iter(seen.values("content-type")), "")
        digest = digest_of(seen.body, op.reference.partition(":")[0] if is_digest(op.reference) else "sha256")
        shelf.manifests[digest] = (media_type, seen.body)
        for tag in (*op.tags, *(() if is_digest(op.reference) else (op.reference,))):
            shelf.tags[tag] = digest
        headers = [("location", f"/v2/{op.repository}/manifests/{digest}"), ("docker-content-digest", digest)]
        if self.referrers and "subject" in document:
            headers.append(("oci-subject", document["subject"]["digest"]))
        return Said(201, (*headers, ("content-length", "0")))

    def _delete_manifest(self, op: ops.DeleteManifest) -> Said:
        shelf = self.shelf(op.repository)
        if not is_digest(op.reference):
            gone = shelf.tags.pop(op.reference, None)
        else:
            gone = None if shelf.manifests.pop(op.reference, None) is None else ""
            shelf.tags = {tag: digest for tag, digest in shelf.tags.items() if digest != op.reference}
        return error(404, "MANIFEST_UNKNOWN") if gone is None else Said(202, (("content-length", "0"),))

    def _list_referrers(self, op: ops.ListReferrers) -> Said:
        if not self.referrers:
            return Said(404, (("content-type", "text/plain; charset=utf-8"),), b"404 page not found\n")
        found = []
        for digest, (media_type, body) in self.shelves.get(op.repository, Shelf()).manifests.items():
            document = json.loads(body)
            if document.get("subject", {}).get("digest") != op.digest:
                continue
            artifact = document.get("artifactType") or document.get("config", {}).get("mediaType", "")
            entry = {"mediaType": media_type, "digest": digest, "size": len(body), "artifactType": artifact}
            if "annotations" in document:
                entry["annotations"] = document["annotations"]
            if op.artifact_type in (None, artifact):
                found.append(entry)
        headers = [("content-type", OCI_INDEX)]
        if op.artifact_type is not None:
            headers.append(("oci-filters-applied", "artifactType"))
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}).encode()
        return Said(200, (*headers, ("content-length", str(len(body)))), body)

    def _pull_blob(self, op: ops.PullBlob, seen: Seen) -> Said:
        data = self.shelves.get(op.repository, Shelf()).blobs.get(op.digest)
        if data is None:
            return error(404, "BLOB_UNKNOWN")
        return content(seen, data, "application/octet-stream", op.digest)

    def _start(self, op: ops.StartUpload, seen: Seen) -> Said:
        shelf = self.shelf(op.repository)
        mounted = None
        if op.mount is not None:
            sources = [op.source] if op.source is not None else list(self.shelves)
            mounted = next((s for s in sources if s in self.shelves and op.mount in self.shelves[s].blobs), None)
        if mounted is not None and op.mount is not None:
            shelf.blobs[op.mount] = self.shelves[mounted].blobs[op.mount]
            return created(op.repository, op.mount)
        if op.digest is not None and self.single_post:
            if not matches(op.digest, seen.body):
                return error(400, "DIGEST_INVALID")
            shelf.blobs[op.digest] = seen.body
            return created(op.repository, op.digest)
        self._sessions += 1
        session = f"{self._sessions:032x}"
        self.uploads[session] = (op.repository, b"")
        return upload(202, op.repository, session, b"")

    def _continue(self, op: ops.Upload, seen: Seen) -> Said:
        repository, data = self.uploads.get(op.session, ("", b""))
        if repository != op.repository or (op.state and dict(op.state).get("_state") != op.session[::-1]):
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        match op:
            case ops.UploadStatus():
                return upload(204, repository, op.session, data)
            case ops.CancelUpload():
                del self.uploads[op.session]
                return Said(204)
            case ops.UploadChunk():
                start = next((v.partition("-")[0] for v in seen.values("content-range")), str(len(data)))
                if start != str(len(data)):
                    return upload(416, repository, op.session, data)
                self.uploads[op.session] = (repository, data + seen.body)
                return upload(202, repository, op.session, data + seen.body)
            case ops.FinishUpload():
                if not matches(op.digest, data + seen.body):
                    return error(400, "DIGEST_INVALID")
                del self.uploads[op.session]
                self.shelf(repository).blobs[op.digest] = data + seen.body
                return created(repository, op.digest)
