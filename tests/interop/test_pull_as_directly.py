"""Every read of distribution-spec 1.1 answers through the proxy as it does directly: status, headers, bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from deploy.layouts import OCI_LAYER
from tests.interop.handmade import Handmade
from tests.interop.shared import Here
from tests.interop.wire import EVERY_KIND, OCI_MANIFEST, Heard, ask

MISSING = "sha256:" + "0" * 64
KEPT = {
    "accept-ranges",
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "etag",
    "link",
    "location",
    "oci-filters-applied",
    "oci-subject",
    "range",
    "www-authenticate",
}
Asked = tuple[str, str, Mapping[str, str]]


def reads(repository: str, digest: str, blob: str) -> dict[str, Asked]:
    """Each read by a name: method, path, headers."""
    at = f"/v2/{repository}"
    cached = {**EVERY_KIND, "If-None-Match": f'"{digest}"'}
    return {
        "api": ("GET", "/v2/", {}),
        "manifest by tag": ("GET", f"{at}/manifests/1", EVERY_KIND),
        "manifest by digest": ("GET", f"{at}/manifests/{digest}", EVERY_KIND),
        "manifest head by tag": ("HEAD", f"{at}/manifests/1", EVERY_KIND),
        "manifest head by digest": ("HEAD", f"{at}/manifests/{digest}", EVERY_KIND),
        "manifest unchanged": ("GET", f"{at}/manifests/1", cached),
        "manifest missing by tag": ("GET", f"{at}/manifests/none", EVERY_KIND),
        "manifest missing by digest": ("GET", f"{at}/manifests/{MISSING}", EVERY_KIND),
        "manifest missing head": ("HEAD", f"{at}/manifests/none", EVERY_KIND),
        "manifest of nobody": ("GET", "/v2/no/such/manifests/1", EVERY_KIND),
        "blob": ("GET", f"{at}/blobs/{blob}", {}),
        "blob head": ("HEAD", f"{at}/blobs/{blob}", {}),
        "blob part": ("GET", f"{at}/blobs/{blob}", {"Range": "bytes=2-5"}),
        "blob end": ("GET", f"{at}/blobs/{blob}", {"Range": "bytes=-4"}),
        "blob beyond": ("GET", f"{at}/blobs/{blob}", {"Range": "bytes=999999-"}),
        "blob unchanged": ("GET", f"{at}/blobs/{blob}", {"If-None-Match": f'"{blob}"'}),
        "blob missing": ("GET", f"{at}/blobs/{MISSING}", {}),
        "blob missing head": ("HEAD", f"{at}/blobs/{MISSING}", {}),
        "tags": ("GET", f"{at}/tags/list", {}),
        "tags, a page": ("GET", f"{at}/tags/list?n=2", {}),
        "tags, the next": ("GET", f"{at}/tags/list?n=2&last=1", {}),
        "tags of nobody": ("GET", "/v2/no/such/tags/list", {}),
        "catalog": ("GET", "/v2/_catalog?n=2", {}),
        "upload unknown": ("GET", f"{at}/blobs/uploads/00000000-0000-0000-0000-000000000000", {}),
    }


def comparable(heard: Heard, host: str) -> tuple[int, dict[str, str], bytes]:
    """What must be the same. Errors are compared without what each server adds to the words of the specification."""
    headers = {name: value.replace(host, "HOST") for name, value in heard.headers.items() if name in KEPT}
    body = heard.body
    if heard.status == 304:  # we say more, as RFC 9110 asks for
        headers = {}
    if heard.status == 416:  # Debian's registry breaks off in the middle of its text; we say none
        headers, body = {"content-range": headers.get("content-range", "")}, b""
    if heard.status >= 400:
        body = re.sub(rb'"(message|detail)":("[^"]*"|\{[^}]*\}|null),?', b"", body)
        for name in ("content-length", "docker-content-digest"):
            headers.pop(name, None)
    return heard.status, headers, body


@pytest.fixture
def filled(anywhere: Here) -> tuple[Here, dict[str, Asked]]:
    by_hand = Handmade(anywhere.proxy.host, anywhere.repository)
    image = by_hand.image("hello", "1")
    for tag in ("2", "3"):
        by_hand.image("hello", tag)
    manifest = ask(anywhere.proxy.host, "GET", f"/v2/{anywhere.repository}/manifests/1", headers=EVERY_KIND).json()
    [layer] = manifest["layers"]
    assert layer["mediaType"] == OCI_LAYER
    return anywhere, reads(anywhere.repository, image["digest"], layer["digest"])


@pytest.mark.parametrize("anywhere", ["docker-registry", "registry"], indirect=True)
def test_reads(filled: tuple[Here, dict[str, Asked]]) -> None:
    here, asked = filled
    different = {}
    for name, (method, path, headers) in asked.items():
        direct = comparable(ask(here.proxy.upstream.host, method, path, headers=headers), here.proxy.upstream.host)
        for time in ("first", "again"):
            through = comparable(ask(here.proxy.host, method, path, headers=headers), here.proxy.host)
            if through != direct:
                different[f"{name}, {time}"] = (direct, through)
    assert not different, "\n\n".join(f"{name}\n  {a}\n  {b}" for name, (a, b) in different.items())


def walk(host: str, path: str, what: str) -> list[str]:
    """Everything under that key on all pages, by the links each one gives."""
    found: list[str] = []
    while path:
        heard = ask(host, "GET", path)
        assert heard.status == 200, heard
        found += heard.json()[what]
        link = re.match(r"<([^>]+)>", heard.headers.get("link", ""))
        path = link[1] if link else ""
        if "://" in path:
            assert path.partition("://")[2].startswith(f"{host}/"), "a page of somebody else's"
    return found


@pytest.mark.parametrize("anywhere", ["docker-registry", "registry"], indirect=True)
def test_pages_lead_through_the_proxy(filled: tuple[Here, dict[str, Asked]]) -> None:
    here, _ = filled
    for path, what in (("/v2/_catalog?n=1", "repositories"), (f"/v2/{here.repository}/tags/list?n=1", "tags")):
        direct, through = (walk(host, path, what) for host in (here.proxy.upstream.host, here.proxy.host))
        assert direct == through
        assert direct


def test_accept_in_five_headers_is_five_headers(here: Here) -> None:
    """Registries convert manifests for who does not take them; through the proxy nothing is converted either."""
    by_hand = Handmade(here.proxy.host, here.repository)
    image = by_hand.image("hello", "1")
    for accept in ({}, {"Accept": "*/*"}, {"Accept": OCI_MANIFEST}):
        heard = ask(here.proxy.host, "GET", f"/v2/{here.repository}/manifests/1", headers=accept)
        assert heard.headers["docker-content-digest"] == image["digest"]
