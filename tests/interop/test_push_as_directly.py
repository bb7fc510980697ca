"""Every write of distribution-spec 1.1 goes through the proxy as it goes directly: the same steps, the same replies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from deploy.layouts import digest_of
from tests.interop.handmade import Handmade
from tests.interop.shared import Here
from tests.interop.wire import EVERY_KIND, OCI_MANIFEST, Heard, ask

BYTES = {"Content-Type": "application/octet-stream"}
KEPT = {
    "content-length",
    "content-range",
    "docker-content-digest",
    "location",
    "oci-subject",
    "oci-chunk-min-length",
    "range",
}


@dataclass
class Walk:
    """One side of the comparison: requests to one host and repository, and what was heard, made comparable."""

    host: str
    repository: str
    other: str
    heard: list[tuple[str, int, dict[str, str], bytes]] = field(default_factory=list)

    def step(
        self, name: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Heard:
        """Ask, and note what is comparable; `path` is below the repository, or a Location."""
        target = path if path.startswith(("/", "http")) else f"/v2/{self.repository}/{path}"
        answer = ask(self.host, method, target, body, headers)
        shown = {key: self.same(value) for key, value in answer.headers.items() if key in KEPT}
        text = b"" if answer.status >= 400 else answer.body
        if answer.status >= 400:
            shown.pop("content-length", None)
            shown["codes"] = " ".join(sorted(set(re.findall(r'"code": ?"(\w+)"', answer.body.decode()))))
        self.heard.append((name, answer.status, shown, text))
        return answer

    def same(self, value: str) -> str:
        """The value without what differs on every run."""
        path = re.sub(r"^https?://[^/]+", "", value)
        path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", path).partition("?")[0]
        return path.replace(self.repository, "REPOSITORY")

    def upload(self, name: str) -> str:
        """Where a new upload goes."""
        begun = self.step(f"{name}: start", "POST", "blobs/uploads/", b"")
        assert begun.status == 202, begun
        return begun.headers["location"]


def joined(place: str, digest: str) -> str:
    return f"{place}{'&' if '?' in place else '?'}digest={digest}"


def in_one_request(walk: Walk) -> None:
    data = b"monolithic"
    walk.step("post", "POST", f"blobs/uploads/?digest={digest_of(data)}", data, BYTES)
    place = walk.upload("post then put")
    walk.step("put", "PUT", joined(place, digest_of(data)), data, BYTES)
    walk.step("there", "HEAD", f"blobs/{digest_of(data)}")


def streamed(walk: Walk) -> None:
    data = b"streamed" * 1000
    place = walk.upload("stream")
    patched = walk.step("patch", "PATCH", place, data, BYTES)
    place = patched.headers["location"]
    walk.step("status", "GET", place)
    walk.step("put", "PUT", joined(place, digest_of(data)), b"", BYTES)
    walk.step("there", "HEAD", f"blobs/{digest_of(data)}")


def in_chunks(walk: Walk) -> None:
    parts = [b"a" * 1000, b"b" * 1000, b"c" * 500]
    place, begin = walk.upload("chunks"), 0
    for number, part in enumerate(parts[:2]):
        ranged = {**BYTES, "Content-Range": f"{begin}-{begin + len(part) - 1}"}
        place = walk.step(f"chunk {number}", "PATCH", place, part, ranged).headers["location"]
        begin += len(part)
        walk.step(f"status {number}", "GET", place)
    walk.step("out of order", "PATCH", place, parts[2], {**BYTES, "Content-Range": "7000-7499"})
    whole = b"".join(parts)
    walk.step("put the last", "PUT", joined(place, digest_of(whole)), parts[2], {**BYTES, "Content-Range": "2000-2499"})
    walk.step("there", "HEAD", f"blobs/{digest_of(whole)}")


def cancelled(walk: Walk) -> None:
    place = walk.upload("cancel")
    walk.step("cancel", "DELETE", place)
    walk.step("gone", "GET", place)
    walk.step("put after", "PUT", joined(place, digest_of(b"late")), b"late", BYTES)


def wrong(walk: Walk) -> None:
    place = walk.upload("wrong digest")
    walk.step("wrong digest", "PUT", joined(place, digest_of(b"other")), b"this", BYTES)
    walk.step("no such digest", "PUT", joined(walk.upload("bad"), "sha256:short"), b"this", BYTES)
    missing = digest_of(b"nothing here")
    body = (
        f'{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1'
    )
    body += f'+json","size":2,"digest":"{missing}"}},"layers":[]}}'
    walk.step("manifest without its blobs", "PUT", "manifests/1", body.encode(), {"Content-Type": OCI_MANIFEST})
    walk.step(
        "manifest of another digest", "PUT", f"manifests/{missing}", body.encode(), {"Content-Type": OCI_MANIFEST}
    )
    walk.step("not a manifest", "PUT", "manifests/1", b"{", {"Content-Type": OCI_MANIFEST})


def mounted(walk: Walk) -> None:
    data = b"mounted"
    source = Handmade(walk.host, walk.other)
    digest = source.blob(data, "x/y")["digest"]
    config = source.blob(
        b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
        "application/vnd.oci.image.config.v1+json",
    )
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(data)}
    source.manifest(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}, OCI_MANIFEST, "1"
    )
    walk.step("mount", "POST", f"blobs/uploads/?mount={digest}&from={walk.other}", b"")
    walk.step("there", "HEAD", f"blobs/{digest}")
    unknown = digest_of(b"not anywhere")
    walk.step("mount of nothing", "POST", f"blobs/uploads/?mount={unknown}&from={walk.other}", b"")
    walk.step("mount from nobody", "POST", f"blobs/uploads/?mount={unknown}&from=no/such", b"")
    walk.step("mount from anywhere", "POST", f"blobs/uploads/?mount={unknown}", b"")


def deleted(walk: Walk) -> None:
    by_hand = Handmade(walk.host, walk.repository)
    first, second = by_hand.image("first", "1"), by_hand.image("second", "2")
    walk.step("delete by digest", "DELETE", f"manifests/{first['digest']}")
    walk.step("gone", "GET", f"manifests/{first['digest']}", headers=EVERY_KIND)
    walk.step("again", "DELETE", f"manifests/{first['digest']}")
    blob = ask(walk.host, "GET", f"/v2/{walk.repository}/manifests/2", headers=EVERY_KIND).json()["layers"][0]["digest"]
    walk.step("a blob", "GET", f"blobs/{blob}")
    walk.step("delete a blob", "DELETE", f"blobs/{blob}")
    walk.step("gone too", "HEAD", f"blobs/{blob}")
    walk.step("delete by tag", "DELETE", "manifests/2")
    walk.step("the other is there", "HEAD", f"manifests/{second['digest']}", headers=EVERY_KIND)


@pytest.mark.parametrize("anywhere", ["docker-registry", "registry"], indirect=True)
@pytest.mark.parametrize("story", [in_one_request, streamed, in_chunks, cancelled, wrong, mounted, deleted])
def test_writes(anywhere: Here, story: Callable[[Walk], None]) -> None:
    here = anywhere
    direct = Walk(here.proxy.upstream.host, f"direct/{here.repository}", f"direct/{here.repository}/other")
    through = Walk(here.proxy.host, f"proxied/{here.repository}", f"proxied/{here.repository}/other")
    for side in (direct, through):
        story(side)
    pairs = zip(direct.heard, through.heard, strict=True)
    assert not [f"\n{one}\n{other}" for one, other in pairs if one != other]


def test_a_large_layer_is_not_changed(anywhere: Here) -> None:
    here = anywhere
    data = hashlib.sha256(b"seed").digest() * 500_000  # 16 MB
    through = Walk(here.proxy.host, here.repository, "")
    place = through.upload("large")
    assert ask(here.proxy.host, "PUT", joined(place, digest_of(data)), data, {"Content-Type": "x/y"}).status == 201
    stored = ask(here.proxy.upstream.host, "GET", f"/v2/{here.repository}/blobs/{digest_of(data)}")
    assert digest_of(stored.body) == digest_of(data)
