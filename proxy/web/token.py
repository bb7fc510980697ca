"""`/-/token`: registry clients request tokens from us and get the answer of upstream's realm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import parse_qsl

from proxy.oci.faults import Fault
from proxy.oci.operation import Query
from proxy.registry.ports.upstream import Headers
from proxy.registry.reading.relay import PREFLIGHT_HEADERS
from proxy.registry.request import Response
from proxy.web.call import Call, small_body
from proxy.web.outermost import Inner
from proxy.web.replies import INERT, inert_type

FORM_BYTES = 256 * 1024  # 512 scopes of the longest names, encoded
FIELDS = 1_000
_FORM = "application/x-www-form-urlencoded"


class Issued(Protocol):
    """The realm's answer."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Headers:
        """The headers that may be passed on."""

    @property
    def body(self) -> bytes:
        """The body."""


Issue = Callable[[str, Query, str | None, Headers], Awaitable[Issued]]


def token_page(issue: Issue) -> Inner:
    """Return the token endpoint.

    `issue` gets the method, the parameters, the Authorization header, and the browser's headers about the requesting
    page.
    """

    async def answer(call: Call) -> Response:
        if call.path.rstrip("/") != "/-/token":
            raise Fault("NAME_UNKNOWN", "there is nothing at this address; tokens are at /-/token", status=404)
        if call.method in ("GET", "OPTIONS"):
            pairs = _pairs(call.query)
        elif call.method == "POST":
            kind = (call.header("content-type") or "").partition(";")[0].strip().lower()
            if kind != _FORM:
                raise Fault("UNSUPPORTED", f"a token is asked for with GET, or POST and {_FORM}", status=415)
            pairs = _pairs((await small_body(call, FORM_BYTES)).decode("utf-8", "replace"))
        else:
            raise Fault("UNSUPPORTED", "a token is asked for with GET or POST", headers={"allow": "GET, POST"})
        page = tuple(pair for pair in call.headers if pair[0] in PREFLIGHT_HEADERS)
        issued = await issue(call.method, pairs, call.credential.authorization, page)
        safe = (("cache-control", "no-store"), *INERT.items())
        kept = tuple(
            (name, inert_type(value) if name == "content-type" else value)
            for name, value in issued.headers
            if name != "cache-control"
        )
        return Response(issued.status, (*kept, *safe), issued.body)

    return answer


def _pairs(text: str) -> Query:
    if (fields := text.count("&") + 1) > FIELDS:
        raise Fault(
            "UNSUPPORTED", f"token request too large: {fields} parameters; at most {FIELDS} are read", status=400
        )
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError as error:
        raise Fault("UNSUPPORTED", f"token parameters not understood: {error}", status=400) from error
