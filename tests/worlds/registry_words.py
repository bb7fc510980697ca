"""The few words the in-memory registry speaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from proxy.oci import operation as ops
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import Operation
from proxy.registry.ports.upstream import Headers


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `target` is the raw request target where it came over the wire."""

    operation: Operation
    authorization: str | None
    headers: Headers = ()
    body: bytes = b""
    target: str = ""

    def values(self, name: str) -> list[str]:
        """Return every value of this (lower-case) header, in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def value(self, name: str) -> str | None:
        """Return the first value of this (lower-case) header."""
        return next((value for key, value in self.headers if key == name), None)


def error(status: int, code: str, message: str = "") -> Said:
    """Return an OCI error reply."""
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower(), "detail": None}]}).encode()
    return Said(status, (("content-type", "application/json"),), body)


def created(repository: str, digest: str) -> Said:
    """Return the 201 of a blob."""
    location = f"/v2/{repository}/blobs/{digest}"
    return Said(201, (("location", location), ("docker-content-digest", digest), ("content-length", "0")))


def upload(status: int, repository: str, session: str, data: bytes) -> Said:
    """Return where an upload stands."""
    headers = (
        ("location", f"/v2/{repository}/blobs/uploads/{session}?_state={session[::-1]}"),
        ("range", f"0-{max(len(data) - 1, 0)}"),
        ("docker-upload-uuid", session),
    )
    return Said(status, headers if status == 204 else (*headers, ("content-length", "0")))


def content(seen: Seen, body: bytes, media_type: str, digest: str) -> Said:
    """Return content, or the range or the 304 that was asked for."""
    same = (("docker-content-digest", digest), ("etag", f'"{digest}"'))
    if f'"{digest}"' in seen.values("if-none-match"):
        return Said(304, same)
    status, piece = 200, body
    extra: Headers = ()
    for wanted in seen.values("range"):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        end = min(int(last) if last else len(body) - 1, len(body) - 1)
        if int(first) > end:
            return Said(416, (("content-range", f"bytes */{len(body)}"),))
        status, piece = 206, body[int(first) : end + 1]
        extra = (("content-range", f"bytes {first}-{end}/{len(body)}"),)
    return Said(status, (("content-type", media_type), ("content-length", str(len(piece))), *same, *extra), piece)


def page(key: str, names: list[str], n: int | None, last: str | None, path: str, more: dict[str, str]) -> Said:
    """Return one page of a list, with the link to the next."""
    rest = [name for name in names if last is None or name > last]
    shown = rest if n is None else rest[:n]
    headers: Headers = (("content-type", "application/json"),)
    if len(shown) < len(rest) and shown:
        headers = (*headers, ("link", f'<{path}?last={shown[-1]}&n={n}>; rel="next"'))
    return Said(200, headers, json.dumps({**more, key: shown}).encode())


def action(op: Operation) -> str:
    """Return the right that an operation needs: pull, push or delete."""
    if isinstance(op, ops.DeleteManifest | ops.DeleteBlob):
        return "delete"
    if isinstance(op, ops.PushManifest | ops.StartUpload | ops.Upload):
        return "push"
    return "pull"


class MemoryReply:
    """A Reply over bytes; `cut` makes it break off in the middle, as a dying upstream does."""

    def __init__(self, said: Said, cut: int | None = None) -> None:
        self.status = said.status
        self.headers: Headers = said.headers
        self._body = said.body
        self._cut = cut
        self.closed = False

    async def read(self, limit: int) -> bytes:
        """Return the body. Raises Fault beyond the limit, Unavailable when cut."""
        if len(self._body) > limit:
            raise Fault("SIZE_INVALID", f"upstream's body is larger than {limit} bytes", status=413)
        if self._cut is not None:
            raise Unavailable("upstream: body cut short")
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """Iterate over the body in two pieces."""
        end = len(self._body) if self._cut is None else self._cut
        yield self._body[: end // 2]
        yield self._body[end // 2 : end]
        if self._cut is not None:
            raise Unavailable("upstream: body cut short")

    async def close(self) -> None:
        """Remember that somebody cared."""
        self.closed = True
