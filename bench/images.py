"""Small images, pushed over the API, and a static copy of what a registry then holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data: bytes) -> str:
    """Return the sha256 digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Image:
    """A manifest and its blobs."""

    body: bytes
    blobs: tuple[bytes, ...] = ()
    media_type: str = MANIFEST

    @property
    def digest(self) -> str:
        return digest_of(self.body)


def image(seed: str) -> Image:
    """Return a small image that differs from every other seed's."""
    layer = f"layer of {seed}".encode()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    ).encode()
    described = [
        {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
        for kind, data in (
            ("application/vnd.oci.image.config.v1+json", config),
            ("application/vnd.oci.image.layer.v1.tar", layer),
        )
    ]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    return Image(json.dumps(body).encode(), (config, layer))


def index(children: Sequence[Image]) -> Image:
    """Return an index of these images."""
    listed = [{"mediaType": c.media_type, "digest": c.digest, "size": len(c.body)} for c in children]
    return Image(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode(), (), INDEX)


async def push_blobs(session: ClientSession, base: str, repository: str, what: Image) -> None:
    """Upload all blobs."""
    for data in what.blobs:
        await push_blob(session, base, repository, data)


async def push_blob(session: ClientSession, base: str, repository: str, data: bytes) -> None:
    """Upload one blob in two requests."""
    async with session.post(f"{base}/v2/{repository}/blobs/uploads/") as started:
        location = started.headers["Location"]
    target = location if location.startswith("http") else base + location
    joint = "&" if "?" in target else "?"
    async with session.put(f"{target}{joint}digest={digest_of(data)}", data=data) as done:
        assert done.status == 201, await done.text()


async def push_manifest(session: ClientSession, base: str, repository: str, reference: str, what: Image) -> None:
    """PUT the manifest under a tag or its digest."""
    url = f"{base}/v2/{repository}/manifests/{reference}"
    async with session.put(url, data=what.body, headers={"Content-Type": what.media_type}) as done:
        assert done.status == 201, await done.text()


async def mirror(session: ClientSession, base: str, repository: str, folder: Path) -> str:
    """Copy all that the repository's tags lead to into files; return nginx locations that serve it as a registry."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with session.get(f"{base}/v2/{repository}/tags/list") as listed:
        todo = [f"manifests/{tag}" for tag in (await listed.json())["tags"]]
    lines: dict[str, str] = {}
    while todo:
        name = todo.pop()
        if name in lines:
            continue
        accept = f"{MANIFEST}, {INDEX}"
        async with session.get(f"{base}/v2/{repository}/{name}", headers={"Accept": accept}) as reply:
            assert reply.status == 200, (name, reply.status)
            data, kind = await reply.read(), reply.headers["Content-Type"]
        digest = digest_of(data)
        (folder / digest.replace(":", "-")).write_bytes(data)
        lines[name] = (
            f"location = /v2/{repository}/{name} {{ alias {folder}/{digest.replace(':', '-')}; default_type {kind}; "
            f"add_header Docker-Content-Digest {digest}; }}"
        )
        if name.startswith("manifests/"):
            document = json.loads(data)
            todo.append(f"manifests/{digest}")
            todo += [f"manifests/{child['digest']}" for child in document.get("manifests", [])]
            todo += [f"blobs/{layer['digest']}" for layer in document.get("layers", [])]
    return "\n".join(lines.values())
