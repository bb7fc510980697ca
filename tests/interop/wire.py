"""Plain HTTP requests, for what no client does: each with its status, headers and bytes, whatever they are."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
EVERY_KIND = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}, {DOCKER_LIST}"}


@dataclass(frozen=True)
class Heard:
    """One reply. Header names are lower-case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def ask(
    host: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Heard:
    """What HOST:PORT answered; nothing is followed. `path` may be a whole URL on that host."""
    target = path.partition("://")[2].partition("/")[2] if "://" in path else path.removeprefix("/")
    with_host = http.client.HTTPConnection(host, timeout=60)
    try:
        with_host.request(method, f"/{target}", body, dict(headers or {}))
        reply = with_host.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        try:
            body = reply.read()
        except http.client.IncompleteRead as short:  # what Debian's registry answers to a range beyond the end
            body = short.partial
        return Heard(reply.status, reply.reason, names, body)
    finally:
        with_host.close()


def manifest(host: str, name: str, reference: str, method: str = "GET") -> Heard:
    """What GET or HEAD of a manifest answers to somebody who takes every kind."""
    return ask(host, method, f"/v2/{name}/manifests/{reference}", headers=EVERY_KIND)
