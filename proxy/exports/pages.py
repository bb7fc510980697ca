"""`/-/trust/...`: our exports for other verifiers, public, at stable addresses."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qsl, unquote

from proxy.exports.publish import Publisher
from proxy.oci.faults import Fault
from proxy.registry.ports.upstream import Headers
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.pages import form_of, named_image
from proxy.web.rendering import Rendering

INDEX, SIGNATURES = "index.json", "signatures/"


class TrustPages:
    """The listing, the files, the index and its signatures."""

    def __init__(self, rendering: Rendering, publisher: Publisher) -> None:
        """`publisher` returns the current exports."""
        self._rendering = rendering
        self._publisher = publisher

    async def answer(self, call: Call) -> Response:
        """Return the page or file at this address. Raises Fault, Unavailable."""
        path = unquote(call.path.removeprefix("/-/trust")).removeprefix("/")
        if not path:
            return self._listing(call)
        if path == INDEX:
            why = await self._publisher.unsigned()
            warning = None if why is None else f"{why}; what you read is not announced by a signature"
            return _file(call, "application/json", self._publisher.now().index, warning)
        if path.startswith(SIGNATURES):
            of = path.removeprefix(SIGNATURES).removesuffix(".sig")
            return _file(call, "application/octet-stream", await self._publisher.signature(of))
        image = _wanted(call)
        file = self._publisher.for_image(path, *named_image(image)) if image else self._publisher.now().files.get(path)
        if file is None:
            raise Fault("NAME_UNKNOWN", "nothing is published at this address; all of it is at /-/trust/", status=404)
        return _file(call, file.media_type, file.body)

    def _listing(self, call: Call) -> Response:
        published, url = self._publisher.now(), f"{self._rendering.url}/-/trust"
        files = [(f"{url}/{file.path}", file.what) for file in published.files.values()]
        files.append((f"{url}/{INDEX}", "every key and the hash of every file above; signed by each of:"))
        signers = [(f"{url}/{SIGNATURES}{key.fingerprint}.sig", key.profile) for key in self._publisher.signers()]
        files += [(address, f"signature of it by {profile}") for address, profile in signers]
        form = form_of(call)
        if form == "html":
            return self._rendering.html("trust.html", files=files)
        if form == "json":
            return self._rendering.answer(200, "application/json", json.dumps(dict(files)))
        text = "".join(f"{address}\n    {what}\n" for address, what in files)
        return self._rendering.answer(200, "text/plain; charset=utf-8", text)


def _wanted(call: Call) -> str | None:
    """Return the value of `?image=`."""
    try:
        return dict(parse_qsl(call.query, max_num_fields=20)).get("image")
    except ValueError:  # more fields than any client sends
        return None


def _file(call: Call, media_type: str, body: bytes, warning: str | None = None) -> Response:
    """Return the bytes with their hash as ETag, or 304 if the caller has them already (RFC 9110 section 13.1.2)."""
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    headers: Headers = (
        ("content-type", media_type),
        ("etag", tag),
        ("cache-control", "no-cache"),
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
    )
    known = [one.strip().removeprefix("W/") for one in (call.header("if-none-match") or "").split(",")]
    if tag in known or "*" in known:
        return Response(304, headers, warning=warning)
    return Response(200, headers, body, warning=warning)
