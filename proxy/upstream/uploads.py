"""Upload locations: addresses that upstream chooses, presented to clients as addresses of ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import quote, urljoin, urlsplit

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.paths import parse, render
from proxy.oci.reference import Repository
from proxy.upstream.location import origin, path_here, shown

WRAPPED = "~"  # the session id of a wrapped address, whose query holds upstream's address
TARGET_LENGTH = 4096  # characters of upstream's address
KEY_BYTES = 32


@dataclass(frozen=True)
class Target:
    """The destination of one upload request. Only upstream's own origin receives a credential."""

    method: str
    url: str
    own: bool


class Uploads:
    """Wraps upload addresses that are not paths of ours, and unwraps them when the client continues.

    An address is opaque (distribution-spec "Pushing blobs"): any path and query on upstream's own origin and on
    `origins` is accepted. A wrapped address carries an HMAC-SHA-256 over repository and address, so only upstream
    decides where bytes and credentials go. Every server with the same `key` can read it.
    """

    def __init__(self, base: str, origins: Iterable[str], key: bytes) -> None:
        """Store upstream's URL and the further allowed upload origins. Raises ValueError for an unusual URL."""
        self._base = base
        self._own = origin(base)
        parts = urlsplit(base)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._origins = frozenset({self._own, *(origin(each) for each in origins)})
        self._key = key

    def here(self, location: str, repository: Repository, asked: str) -> str:
        """Return the path and query at which clients continue, for the Location in the response to the URL `asked`.

        An address in the specification's own form is returned unchanged. Raises Corrupt if it is ambiguous, too long,
        or not a place for an upload; Unavailable if its origin is not listed.
        """
        below = path_here(location, base=self._base, asked=asked)
        if below is not None and _fits(below, repository):
            return below
        target = self._target(urljoin(asked, location))
        if len(target) > TARGET_LENGTH:
            text = f"upstream's address of an upload has {len(target)} characters, at most {TARGET_LENGTH} fit"
            raise Corrupt(text, told=Told.PLACE)
        at = base64.urlsafe_b64encode(target.encode("ascii")).decode().rstrip("=")
        return f"/v2/{repository}/blobs/uploads/{WRAPPED}?at={at}&seal={self._seal(repository, target)}"

    def target(self, op: ops.Upload) -> Target:
        """Return the destination of this upload request. Raises Fault for an address that was not wrapped here."""
        method, path = render(op)
        if op.session != WRAPPED:
            return Target(method, self._base + path, own=True)
        state = dict(op.state)
        url = self._unwrapped(op.repository, state.get("at", ""), state.get("seal", ""))
        match op:
            case ops.FinishUpload():
                url += f"{'&' if '?' in url else '?'}digest={quote(op.digest, safe='')}"
            case ops.UploadChunk() | ops.UploadStatus() | ops.CancelUpload():
                pass
            case _:
                assert_never(op)
        return Target(method, url, origin(url) == self._own)

    def _target(self, url: str) -> str:
        """Return the address to store: only the path on upstream's own origin, because upstream's URL may change."""
        at = origin(url)
        if at not in self._origins:
            raise Unavailable(
                f"upstream wants uploads to go on at {shown(url)}, which is not its own address {self._own}: set "
                f"upstreams[].url to {at}, if that is the same registry, or list it in upstreams[].upload_origins",
                told=Told.UPLOADS,
            )
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return path if at == self._own else at + path

    def _unwrapped(self, repository: Repository, at: str, seal: str) -> str:
        try:
            target = base64.urlsafe_b64decode(at + "=" * (-len(at) % 4)).decode("ascii")
        except (binascii.Error, ValueError):
            target = ""
        sealed = hmac.compare_digest(self._seal(repository, target).encode(), seal.encode())
        url = target if "://" in target.partition("?")[0] else self._root + target
        if not target or not sealed or origin(url) not in self._origins:
            raise Fault("BLOB_UPLOAD_UNKNOWN", "no upload has this address; start the upload again")
        return url

    def _seal(self, repository: Repository, target: str) -> str:
        made = hmac.digest(self._key, f"upload\n{repository}\n{target}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _fits(below: str, repository: Repository) -> bool:
    """True for an address of the specification's own form. Raises Corrupt for the address of a manifest or blob."""
    path, _, query = below.partition("?")
    try:
        op = parse("GET", path, query)
    except Fault:
        return False
    if not isinstance(op, ops.UploadStatus):
        raise Corrupt(f"upstream wants an upload to go on at {shown(below)}, which is no place for uploads")
    return op.repository == repository and op.session != WRAPPED
