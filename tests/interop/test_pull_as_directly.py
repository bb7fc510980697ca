"""Pages of lists lead through the proxy, and manifests come as they are; the rest is in tests/interop/differential."""

from __future__ import annotations

import re

import pytest

from tests.interop.handmade import Handmade
from tests.interop.shared import Here
from tests.interop.wire import OCI_MANIFEST, ask


@pytest.fixture
def filled(anywhere: Here) -> Here:
    by_hand = Handmade(anywhere.proxy.host, anywhere.repository)
    for tag in ("1", "2", "3"):
        by_hand.image("hello", tag)
    return anywhere


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
def test_pages_lead_through_the_proxy(filled: Here) -> None:
    here = filled
    for path, what in (("/v2/_catalog?n=1", "repositories"), (f"/v2/{here.repository}/tags/list?n=1", "tags")):
        direct, through = (walk(host, path, what) for host in (here.proxy.upstream.host, here.proxy.host))
        assert through == (sorted(direct) if what == "tags" else direct)
        assert direct


def test_accept_in_five_headers_is_five_headers(here: Here) -> None:
    """Registries convert manifests for who does not take them; through the proxy nothing is converted either."""
    by_hand = Handmade(here.proxy.host, here.repository)
    image = by_hand.image("hello", "1")
    for accept in ({}, {"Accept": "*/*"}, {"Accept": OCI_MANIFEST}):
        heard = ask(here.proxy.host, "GET", f"/v2/{here.repository}/manifests/1", headers=accept)
        assert heard.headers["docker-content-digest"] == image["digest"]
