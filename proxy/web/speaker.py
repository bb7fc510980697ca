"""Replies to input that never becomes a request: not HTTP, too long a header, or no capacity left."""

from __future__ import annotations

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.web.replies import error_body

FIELDS = 128  # header fields of one request


def _said(line: str, code: str, text: str, *headers: str) -> bytes:
    body = error_body(code, text)
    fields = ["Connection: close", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([f"HTTP/1.1 {line}", *fields, "", ""]).encode() + body


FULL = _said(
    "503 Service Unavailable", "TOOMANYREQUESTS", "too many connections; try again in a few seconds", "Retry-After: 5"
)


def too_long(most: int) -> bytes:
    """Return the refusal of a request whose header is longer than this many bytes."""
    text = (
        f"the header of a request may have {most} bytes in all (limits.header_bytes), this one has more; send fewer or "
    )
    text += "shorter header fields"
    return _said("431 Request Header Fields Too Large", "UNKNOWN", text)


class Speaker(RequestHandler):
    """aiohttp's protocol, except that input that is not HTTP gets our error text, which never repeats the input."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the refusal of a request that could not be parsed, and end the connection with it."""
        self.logger.info("not HTTP from %s: %s", request.remote, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        text = "the request could not be read as HTTP"
        if message is not None and message.startswith("Too many headers"):
            status, text = 431, f"more than {FIELDS} header fields; send fewer"
        fields = {"content-type": "application/json", "server": "countersign"}
        response = web.Response(status=status, headers=fields, body=error_body("UNKNOWN", text))
        response.force_close()
        return response
