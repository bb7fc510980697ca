"""Somebody who pushes and pulls by plain HTTP, many requests at a time, and looks at what is upstream."""

from __future__ import annotations

import io
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from deploy.layouts import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, digest_of
from tests.interop.wire import EVERY_KIND

CONFIG = b"{}"
LAYER = b"a layer of a few bytes"


@dataclass(frozen=True)
class Heard:
    """One reply. Header names are lower-case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """What most clients print of a refusal."""
        return str(json.loads(self.body)["errors"][0]["message"])


def image(name: str = "", *layers: bytes) -> bytes:
    """The manifest of an image; another one for each name, and for each call without one."""

    def descriptor(media_type: str, data: bytes) -> dict[str, object]:
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    made = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, CONFIG),
        "layers": [descriptor(OCI_LAYER, layer) for layer in layers or (LAYER,)],
        "annotations": {"name": name or os.urandom(8).hex()},
    }
    return json.dumps(made).encode()


@dataclass
class Caller:
    """Calls the registry at `url`."""

    url: str
    session: aiohttp.ClientSession

    def at(self, host: str) -> Caller:
        """The same caller, at another registry."""
        return Caller(f"http://{host}", self.session)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Heard:
        """What was answered. Raises aiohttp.ClientError, OSError, TimeoutError."""
        target = path if "://" in path else f"{self.url}{path}"
        data = io.BytesIO(body) if body else body
        async with self.session.request(method, target, data=data, headers=headers, allow_redirects=False) as reply:
            got = {name.lower(): value for name, value in reply.headers.items()}
            return Heard(reply.status, reply.reason or "", got, await reply.read())

    async def furnish(self, repository: str, *more: bytes) -> None:
        """The blobs of `image` are in that repository, and these."""
        for data in (CONFIG, LAYER, *more):
            started = await self.ask("POST", f"/v2/{repository}/blobs/uploads/")
            assert started.status == 202, started
            place = started.headers["location"]
            joint = "&" if "?" in place else "?"
            done = await self.ask("PUT", f"{place}{joint}digest={digest_of(data)}", data)
            assert done.status == 201, done

    async def push(self, repository: str, reference: str, body: bytes, kind: str = OCI_MANIFEST) -> Heard:
        """What pushing this manifest was answered."""
        return await self.ask("PUT", f"/v2/{repository}/manifests/{reference}", body, {"Content-Type": kind})

    async def pull(self, repository: str, reference: str) -> Heard:
        """What pulling this manifest was answered."""
        return await self.ask("GET", f"/v2/{repository}/manifests/{reference}", headers=EVERY_KIND)

    async def tags(self, repository: str) -> list[str]:
        """The tags of people, without those that signatures are under."""
        reply = await self.ask("GET", f"/v2/{repository}/tags/list")
        names = json.loads(reply.body).get("tags") or [] if reply.status == 200 else []
        return [name for name in names if not name.startswith("sha256-")]

    async def signatures(self, repository: str, digest: str) -> list[tuple[str, str]]:
        """What the `.sig` tag of that manifest lists: what each is bound to, and its signature in base64."""
        reply = await self.pull(repository, f"{digest.replace(':', '-')}.sig")
        if reply.status == 404:
            return []
        found = []
        for layer in json.loads(reply.body)["layers"]:
            payload = json.loads((await self.ask("GET", f"/v2/{repository}/blobs/{layer['digest']}")).body)
            assert payload["critical"]["image"]["docker-manifest-digest"] == digest
            bound = payload["critical"]["identity"]["docker-reference"]
            found.append((bound, layer["annotations"]["dev.cosignproject.cosign/signature"]))
        return found

    async def bundles(self, repository: str, digest: str) -> list[Any]:
        """The entries of the index of referrers under the fallback tag."""
        reply = await self.pull(repository, digest.replace(":", "-"))
        entries: list[Any] = [] if reply.status == 404 else json.loads(reply.body)["manifests"]
        return entries


@asynccontextmanager
async def caller(host: str, seconds: float = 60, tls: ssl.SSLContext | None = None) -> AsyncIterator[Caller]:
    """Somebody who calls HOST:PORT with as many connections as it takes; with `tls`, by HTTPS."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls or True),
        timeout=aiohttp.ClientTimeout(total=seconds),
        auto_decompress=False,
    )
    async with session:
        yield Caller(f"{'https' if tls else 'http'}://{host}", session)


__all__ = ["LAYER", "OCI_INDEX", "Caller", "Heard", "caller", "digest_of", "image"]
