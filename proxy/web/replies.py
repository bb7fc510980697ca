"""Writes responses and failures to the connection."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web
from multidict import CIMultiDict

from proxy.oci.faults import Corrupt, Fault, Told, Unavailable, plain
from proxy.registry.ports.upstream import HOP_BY_HOP, Headers, UpstreamResponse
from proxy.registry.request import Response
from proxy.trust.explain import PHRASE_LENGTH

JSON = "application/json"
WARNING_LENGTH = 4096
Failure = Fault | Unavailable | Corrupt
# Upstream's content shares the origin of our pages: a browser must not run it, whatever its media type says.
INERT = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
_HARMLESS = re.compile(
    r"(?:text/plain|application/(?:json|octet-stream|x-tar|(?:x-)?gzip|zstd|vnd\.(?:(?!xml\b)[a-z0-9.+_-])+))"
    r"(?:\s*;\s*[a-z]+=\"?[\w.+-]*\"?)*",
    re.IGNORECASE | re.ASCII,
)
_RANGES = re.compile(r"multipart/byteranges; boundary=\"?[\w'()+,./:=?-]{1,70}\"?", re.ASCII)
API_VERSION = ("docker-distribution-api-version", "registry/2.0")


@dataclass(frozen=True)
class Ready:
    """A response with the reason phrase of its status line (None: the standard one)."""

    answer: Response
    phrase: str | None = None


def refuse(failure: Failure, *, inside: bool = False) -> Ready:
    """Return the OCI error for a failure (distribution-spec 1.1 "Error Codes"); `inside` adds detail for operators."""
    if isinstance(failure, Unavailable):
        later = (("retry-after", str(failure.retry_after)),)
        text = f"not available just now ({_said(failure, inside)}); try again"
        phrase = f"{failure.told}".removeprefix("the ") if failure.told in (Told.REGISTRY, Told.HEADERS) else None
        return Ready(Response(503, _json(later), error_body("UNAVAILABLE", text)), phrase)
    if isinstance(failure, Corrupt):
        text = f"nothing is handed on ({_said(failure, inside)})"
        return Ready(Response(502, _json(()), error_body("UNKNOWN", text)))
    body = error_body(failure.code, failure.message, failure.detail)
    headers = tuple((name.lower(), value) for name, value in failure.headers.items())
    phrase = None if failure.phrase is None else plain(failure.phrase, PHRASE_LENGTH)
    return Ready(Response(failure.status, _json(headers), body), phrase)


def _said(failure: Unavailable | Corrupt, inside: bool) -> str:
    return plain(failure.what, 200) if inside else str(failure.told)


def broken(request_id: str) -> Fault:
    """Return the error for an unexpected exception: our own words and the request id, nothing else."""
    return Fault("UNKNOWN", f"internal error; nothing was served or signed; ask the operator for request {request_id}")


def error_body(code: str, message: str, detail: str | None = None) -> bytes:
    """Return `{"errors":[{code, message, detail}]}`; detail is a string because docker shows only strings."""
    error = {"code": code, "message": message} | ({} if detail is None else {"detail": detail})
    return json.dumps({"errors": [error]}, ensure_ascii=True).encode()


def _json(headers: Headers) -> Headers:
    return (("content-type", JSON), *headers)


def warning(text: str) -> str:
    """Return the value of a `Warning` header: a quoted string of inert ASCII within the length that clients read."""
    inner = plain(text, WARNING_LENGTH - 8).replace("\\", "/").replace('"', "'")
    return f'299 - "{inner}"'


def inert_type(media_type: str) -> str:
    """Return the media type if no browser runs content of that type, else the generic type for bytes."""
    return (_remembered_type if len(media_type) <= SHORT else _inert_type)(media_type)


def _inert_type(media_type: str) -> str:
    harmless = _HARMLESS.fullmatch(media_type) or _RANGES.fullmatch(media_type)  # several ranges of one layer
    return media_type if harmless else "application/octet-stream"


SHORT = 128  # characters: enough for the media types of images
_remembered_type = lru_cache(1024)(_inert_type)


def _fields(answer: Response, request_id: str, *, registry: bool) -> CIMultiDict[str]:
    fields = CIMultiDict([pair for pair in answer.headers if pair[0].lower() not in HOP_BY_HOP])
    if registry:
        fields[API_VERSION[0]] = API_VERSION[1]
        fields.update(INERT)
        if "content-type" in fields:
            fields["content-type"] = inert_type(fields["content-type"])
    if answer.warning:
        fields.add("warning", warning(answer.warning))
    fields["x-request-id"] = request_id
    fields["server"] = "countersign"
    return fields


async def send(
    request: web.BaseRequest,
    ready: Ready,
    *,
    request_id: str,
    registry: bool,
    close: bool,
    count: Callable[[int], None],
) -> web.StreamResponse:
    """Write the whole response and return it; `count` receives the size of body bytes as they are sent.

    A relayed stream that ends early or with an error ends the connection: a short body must never look complete.
    """
    answer = ready.answer
    fields = _fields(answer, request_id, registry=registry)
    if answer.relayed is not None:
        try:
            return await _relay(request, answer, answer.relayed, fields, ready.phrase, close, count)
        finally:
            await answer.relayed.close()
    response = Sent(answer.status, ready.phrase, stays=request.keep_alive and not close)
    await response.send(request, fields, answer.body)
    if request.method != "HEAD":
        count(len(answer.body))
    return response


class Sent(web.StreamResponse):
    """A response with its whole body in memory, sent at once: aiohttp's own class takes twice the time."""

    def __init__(self, status: int, phrase: str | None, *, stays: bool) -> None:
        """Nothing is sent yet; the connection `stays` open afterwards."""
        super().__init__(status=status, reason=phrase)
        self._stays = stays

    @property
    def keep_alive(self) -> bool:
        """True if the connection stays open."""
        return self._stays

    async def send(self, request: web.BaseRequest, fields: CIMultiDict[str], body: bytes) -> None:
        """Write the header, framed for this body (RFC 9112 6), and the body if this response has one."""
        head = request.method == "HEAD"
        if not head or self.status == 204:
            fields.popall("content-length", None)  # counted from the bytes; the given value is never trusted
        if self.status != 204 and "content-length" not in fields and (body or not (head or self.status == 304)):
            fields["content-length"] = str(len(body))
        if body and not head:
            fields.setdefault("content-type", "application/octet-stream")
        fields.setdefault("date", _date(int(time.time())))
        if self._stays != (request.version >= (1, 1)):  # otherwise the default of the HTTP version already says it
            fields["connection"] = "keep-alive" if self._stays else "close"
        major, minor = request.version
        await request.writer.write_headers(f"HTTP/{major}.{minor} {self.status} {self.reason}", fields)
        await request.writer.write_eof(b"" if head or self.status in {204, 304} else body)

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing: aiohttp sends the response that a handler returns, and this one is already sent."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


@lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


async def _relay(
    request: web.BaseRequest,
    answer: Response,
    reply: UpstreamResponse,
    fields: CIMultiDict[str],
    phrase: str | None,
    close: bool,
    count: Callable[[int], None],
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=phrase, headers=fields)
    if close:
        response.force_close()
    await response.prepare(request)
    if request.method == "HEAD" or answer.status in {204, 304}:
        await response.write_eof()
        return response
    sent = 0
    whole = False
    try:
        async for chunk in reply.stream():
            await response.write(chunk)
            count(len(chunk))
            sent += len(chunk)
        length = response.content_length
        whole = length is None or sent == length
    except (Unavailable, Corrupt):
        whole = False
    finally:
        if not whole:
            cut(request)
    if whole:
        await response.write_eof()
    else:
        await asyncio.sleep(0)  # the next turn of the loop reports the lost connection
    return response


def cut(request: web.BaseRequest) -> None:
    """Abort the connection, without the final bytes that would make a short body look complete."""
    if request.transport is not None:
        request.transport.abort()
