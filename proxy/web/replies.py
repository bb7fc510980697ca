"""Writes responses and failures to the connection."""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import formatdate
from functools import lru_cache
from http.client import responses
from typing import NamedTuple, Protocol

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
_OF_A_REGISTRY = (API_VERSION, *INERT.items())
_OURS = HOP_BY_HOP | {"x-request-id", "server"}
_OURS_IN_A_REGISTRY = _OURS | dict(_OF_A_REGISTRY).keys()


class Refused(NamedTuple):
    """A response with the reason phrase of its status line (None: the standard one)."""

    answer: Response
    phrase: str | None = None


def refuse(failure: Failure, *, inside: bool = False) -> Refused:
    """Return the OCI error for a failure (distribution-spec 1.1 "Error Codes"); `inside` adds detail for operators."""
    if isinstance(failure, Unavailable):
        later = (("retry-after", str(failure.retry_after)),)
        text = f"not available just now ({_said(failure, inside)}); try again"
        phrase = f"{failure.told}".removeprefix("the ") if failure.told in (Told.REGISTRY, Told.HEADERS) else None
        return Refused(Response(503, _json(later), error_body("UNAVAILABLE", text)), phrase)
    if isinstance(failure, Corrupt):
        text = f"nothing is handed on ({_said(failure, inside)})"
        return Refused(Response(502, _json(()), error_body("UNKNOWN", text)))
    body = error_body(failure.code, failure.message, failure.detail)
    headers = tuple((name.lower(), value) for name, value in failure.headers.items())
    phrase = None if failure.phrase is None else plain(failure.phrase, PHRASE_LENGTH)
    return Refused(Response(failure.status, _json(headers), body), phrase)


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


def _fields(answer: Response, registry: bool) -> list[tuple[str, str]]:
    """Return the header fields, except those about the connection and the request."""
    ours = _OURS_IN_A_REGISTRY if registry else _OURS
    fields = [(low, value) for name, value in answer.headers if (low := name.lower()) not in ours]
    if registry:
        fields = [(name, inert_type(value) if name == "content-type" else value) for name, value in fields]
        fields += _OF_A_REGISTRY
    if answer.warning:
        fields.append(("warning", warning(answer.warning)))
    return [*fields, ("server", "countersign")]


class Frame(NamedTuple):
    """What the frame of a body depends on (RFC 9112 6) besides the response."""

    head: bool  # the request is a HEAD
    version: tuple[int, int]  # of HTTP
    stays: bool  # the connection stays open


async def send(
    request: web.BaseRequest, answer: Response, phrase: str | None, request_id: str, registry: bool, *, stays: bool
) -> int:
    """Write a response whose body is in memory, at once; return how many bytes of the body were sent.

    aiohttp's own response would take three times as long. Raises ValueError for a field of more than one line.
    """
    frame = Frame(request.method == "HEAD", request.version, stays)
    status, body = answer.status, answer.body
    again = registry and status == 200 and answer.warning is None  # the same image is pulled again and again
    head = (_remembered_head if again else _head)(
        status, answer.headers, answer.warning, phrase, registry, len(body), frame
    )
    line = f"x-request-id: {request_id}\r\ndate: {_date(int(time.time()))}\r\n\r\n"
    sent = b"" if frame.head or status in {204, 304} else body
    await request.writer.write(b"".join((head, line.encode(), sent)))
    await request.writer.drain()
    return len(sent)


def _head(
    status: int,
    headers: Headers,
    warned: str | None,
    phrase: str | None,
    registry: bool,
    size: int,
    frame: Frame,
) -> bytes:
    """Return the header up to the fields of the request; a given length is trusted only where no body is sent."""
    fields = _fields(Response(status, headers, warning=warned), registry)
    names = dict(fields)
    length = names.get("content-length") if frame.head and status != 204 else None
    if length is None and status != 204 and (size or not (frame.head or status == 304)):
        length = str(size)
    major, minor = frame.version
    lines = [f"HTTP/{major}.{minor} {status} {responses.get(status, '') if phrase is None else phrase}"]
    lines += [f"{name}: {value}" for name, value in fields if name not in ("content-length", "date")]
    if length is not None:
        lines.append(f"content-length: {length}")
    if size and not frame.head and "content-type" not in names:
        lines.append("content-type: application/octet-stream")
    if frame.stays != (frame.version >= (1, 1)):  # otherwise the default of the HTTP version already says it
        lines.append("connection: keep-alive" if frame.stays else "connection: close")
    text = "\r\n".join([*lines, ""])
    if not text.count("\r") == text.count("\n") == len(lines):
        raise ValueError("a line break in a header field")
    return text.encode()


_remembered_head = lru_cache(512)(_head)  # 4 MiB at most: upstream's fields are that short


@lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class Tally(Protocol):
    """Counts the bytes of a body as they are sent."""

    sent: int


async def relay(
    request: web.BaseRequest,
    answer: Response,
    reply: UpstreamResponse,
    phrase: str | None,
    request_id: str,
    registry: bool,
    *,
    stays: bool,
    done: Tally,
) -> bool:
    """Write a response with upstream's stream as its body; return True if the connection stays open.

    A stream that ends early or with an error ends the connection: a short body must never look complete.
    """
    fields = CIMultiDict([*_fields(answer, registry), ("x-request-id", request_id)])
    response = web.StreamResponse(status=answer.status, reason=phrase, headers=fields)
    if not stays:
        response.force_close()
    whole = False
    try:
        await response.prepare(request)
        whole = request.method == "HEAD" or answer.status in {204, 304} or await _streamed(response, reply, done)
        if whole:
            await response.write_eof()
    finally:
        if not whole:
            cut(request)
        await reply.close()
    if not whole:
        await asyncio.sleep(0)  # the next turn of the loop reports the lost connection
    return whole and stays


async def _streamed(response: web.StreamResponse, reply: UpstreamResponse, done: Tally) -> bool:
    """Send the stream; return False if it broke off, or was shorter or longer than announced."""
    try:
        async for chunk in reply.stream():
            await response.write(chunk)
            done.sent += len(chunk)
    except (Unavailable, Corrupt):
        return False
    return response.content_length in (None, done.sent)


def cut(request: web.BaseRequest) -> None:
    """Abort the connection, without the final bytes that would make a short body look complete."""
    if request.transport is not None:
        request.transport.abort()
