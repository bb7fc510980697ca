"""`/-/trust/` over a whole proxy in memory: addresses, ETags, and an unsigned index that says so."""

from __future__ import annotations

import json

import pytest

from proxy.exports.pages import TrustPages
from proxy.exports.publish import Publisher
from proxy.oci.faults import Unavailable
from proxy.trust.keys import BookKey, fingerprint
from proxy.web.app import public_app
from proxy.web.outermost import Inner
from proxy.web.pages import pages
from proxy.web.rendering import Rendering
from tests.unit.web.test_pages import Desk
from tests.worlds.conversation import World, world
from tests.worlds.listener import Recorder, body_of, head_of, in_memory


def site(w: World) -> Inner:
    desk, rendering = Desk(), Rendering("reg", "https://proxy.example")
    trust = TrustPages(rendering, Publisher(lambda: w.ports, {"release": False})).answer
    return public_app(Recorder(), pages(rendering, desk.find, desk.inspect, trust))


@pytest.mark.parametrize("accept", ["text/html", "application/json", "text/plain"])
async def test_the_listing_has_an_address_for_everything(accept: str) -> None:
    w = await world()
    async with in_memory(site(w)) as proxy:
        listing = body_of(await proxy.get("/-/trust/", f"Accept: {accept}")).decode()
        for word in ("release/policy.json", "release/kyverno.yaml", "index.json", "signatures/"):
            assert f"https://proxy.example/-/trust/{word}" in listing
        index = json.loads(body_of(await proxy.get("/-/trust/index.json")))
        for file in index["files"]:
            assert head_of(await proxy.get(f"/-/trust/{file['path']}"))[0].split()[1] == "200", file["path"]


async def test_who_has_it_already_is_not_sent_it_again() -> None:
    w = await world()
    async with in_memory(site(w)) as proxy:
        for path in ("release/policy.json", "index.json"):
            etag = head_of(await proxy.get(f"/-/trust/{path}"))[1]["etag"]
            again = await proxy.get(f"/-/trust/{path}", f"If-None-Match: {etag}")
            assert head_of(again)[0].split()[1] == "304"
            assert body_of(again) == b""
            other = await proxy.get(f"/-/trust/{path}", 'If-None-Match: "other"')
            assert head_of(other)[0].split()[1] == "200"


async def test_a_file_for_one_repository() -> None:
    w = await world()
    async with in_memory(site(w)) as proxy:
        reply = await proxy.get("/-/trust/release/policy.json?image=team/app:v1")
        assert list(json.loads(body_of(reply))["transports"]["docker"]) == ["proxy.example/team/app"]
        bad = await proxy.get("/-/trust/release/commands.txt?image=$(reboot):v1")
        assert head_of(bad)[0].split()[1] == "400"


@pytest.mark.parametrize("path", ["release/nothing", "../v2/", "%2e%2e/x", "signatures/00.sig", "other/keys.pem"])
async def test_nothing_else_is_there(path: str) -> None:
    w = await world()
    async with in_memory(site(w)) as proxy:
        assert head_of(await proxy.get(f"/-/trust/{path}"))[0].split()[1] == "404"


async def test_an_index_that_the_token_did_not_sign_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world()

    async def away(_key: BookKey, _message: bytes) -> bytes:
        raise Unavailable("token main is away")

    monkeypatch.setattr(w.signer, "sign", away)
    (key,) = w.store.keybook.ring().ours
    async with in_memory(site(w)) as proxy:
        headers = head_of(await proxy.get("/-/trust/index.json"))[1]
        assert "no signature could be made" in headers["warning"]
        signature = await proxy.get(f"/-/trust/signatures/{fingerprint(key.spki)}.sig")
    assert head_of(signature)[0].split()[1] == "503"
    assert b"no signature could be made" in body_of(signature)
    assert b"token main" not in body_of(signature)


async def test_the_files_for_images_come_first_and_say_whom_they_are_for() -> None:
    """Before: fifteen addresses, those of the attestation key first, which signs no image."""
    w = await world()
    await w.store.keybook.add(w.signer.create("attestation"))
    rendering = Rendering("reg", "https://proxy.example")
    trust = TrustPages(rendering, Publisher(lambda: w.ports, {"attestation": True, "release": False})).answer
    desk = Desk()
    async with in_memory(public_app(Recorder(), pages(rendering, desk.find, desk.inspect, trust))) as proxy:
        html = body_of(await proxy.get("/-/trust/", "Accept: text/html")).decode()
        text = body_of(await proxy.get("/-/trust/")).decode()
    for told in (html, text):
        images, statements = told.index("the keys that sign images"), told.index("and no images")
        assert images < told.index("release/policy.json") < statements < told.index("attestation/keys.pem")
    assert ">podman, skopeo, buildah, CRI-O: /etc/containers/policy.json</a>" in html


@pytest.mark.parametrize("form", ["html", "json", "text"])
async def test_how_to_set_up_a_client_is_published_without_our_upstream(form: str) -> None:
    """Before: only who had the configuration could print it."""
    w = await world()
    async with in_memory(site(w)) as proxy:
        every = body_of(await proxy.get(f"/-/trust/clients?format={form}")).decode()
        one = body_of(await proxy.get(f"/-/trust/clients/containerd?format={form}")).decode()
        assert (await proxy.get("/-/trust/clients/nobody")).startswith(b"HTTP/1.1 404 ")
    assert "docker login proxy.example" in every
    assert "certs.d/proxy.example/hosts.toml" in one
    assert "docker login" not in one
    assert "Close http" not in every + one
