"""`/-/trust/...`: our exports for other verifiers, public, at stable addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote

from proxy.exports.clients import Client, instructions
from proxy.exports.publish import Publisher
from proxy.oci.faults import Fault
from proxy.registry.ports.upstream import Headers
from proxy.registry.request import Response
from proxy.web.call import Call
from proxy.web.pages import form_of, named_image
from proxy.web.rendering import Rendering

INDEX, SIGNATURES, CLIENTS = "index.json", "signatures/", "clients"
Group = tuple[str, list[tuple[str, str]]]  # a heading; addresses and what is there


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
        first, _, client = path.partition("/")
        if first == CLIENTS and client in {"", *Client}:
            return self._clients(call, [Client(client)] if client else list(Client))
        image = _wanted(call)
        file = self._publisher.for_image(path, *named_image(image)) if image else self._publisher.now().files.get(path)
        if file is None:
            raise Fault(
                "NAME_UNKNOWN",
                "nothing is published at this address; everything that is published is listed at /-/trust/",
                status=404,
            )
        return _file(call, file.media_type, file.body)

    def _clients(self, call: Call, wanted: Sequence[Client]) -> Response:
        """Return how to set up these clients, without our upstream's address."""
        rendering = self._rendering
        told = {client.value: instructions(client, rendering.host, rendering.url) for client in wanted}
        if form_of(call) == "html":
            return rendering.html("clients.html", clients=told)
        if form_of(call) == "json":
            return rendering.answer(200, "application/json", json.dumps(told))
        return rendering.answer(200, "text/plain; charset=utf-8", "\n".join(told.values()))

    def _listing(self, call: Call) -> Response:
        groups, form = self._groups(), form_of(call)
        if form == "html":
            return self._rendering.html("trust.html", groups=groups)
        if form == "json":
            files = dict(file for _, files in groups for file in files)
            return self._rendering.answer(200, "application/json", json.dumps(files))
        text = "\n".join(
            f"{heading}\n" + "".join(f"  {address}\n      {what}\n" for address, what in files)
            for heading, files in groups
        )
        return self._rendering.answer(200, "text/plain; charset=utf-8", text)

    def _groups(self) -> list[Group]:
        """Return what is published, the files for those who run images first."""
        published, url = self._publisher.now(), f"{self._rendering.url}/-/trust"
        groups: list[Group] = []
        for profile in self._publisher.profiles():
            of = [file for file in published.files.values() if file.path.startswith(f"{profile.name}/")]
            heading = f"{profile.name}: the keys that sign images; take the file for what runs them"
            if profile.attesting:
                heading = f"{profile.name}: the keys that sign statements about images, and no images"
            groups.append((heading, [(f"{url}/{file.path}", file.what) for file in of]))
        signers = [(f"{url}/{SIGNATURES}{key.fingerprint}.sig", key.profile) for key in self._publisher.signers()]
        index = [(f"{url}/{INDEX}", "every key and the hash of every file above; signed by each of:")]
        index += [(address, f"signature of it by {profile}") for address, profile in signers]
        return [*groups, ("For programs: one signed file that names all of these", index)]


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
