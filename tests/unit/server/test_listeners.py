"""Pages and local commands over a whole proxy in memory: whose refusal is shown, under which name."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.oci.operation import PullManifest
from proxy.server.build import upstream_of
from proxy.server.listeners import public_pages
from proxy.upstream.realm import Realm
from proxy.web.app import public_app
from tests.unit.config.test_settings import MINIMAL, parse
from tests.worlds.conversation import world
from tests.worlds.images import image
from tests.worlds.listener import Recorder, body_of, head_of, in_memory
from tests.worlds.registry import Said

ATTESTING = {"release": False}


@pytest.fixture
async def realm(tmp_path: Path) -> AsyncIterator[Realm]:
    """The realm of an upstream that is never asked."""
    upstream = upstream_of(parse(MINIMAL, str(tmp_path)))
    yield upstream.realm
    await upstream.close()


async def test_an_image_s_page_names_it_as_clients_do(realm: Realm) -> None:
    w = await world()
    await w.push(image(), "team/app", "v1")
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        by_tag = await proxy.get("/-/i/team/app:v1")
        by_digest = await proxy.get(f"/-/i/team/app@{image().digest}")
    assert head_of(by_tag)[0].split()[1] == head_of(by_digest)[0].split()[1] == "200"
    commands = "curl 'https://proxy.example/-/trust/release/commands.txt?image=team/app"
    assert f"{commands}:v1'" in body_of(by_tag).decode()
    assert f"{commands}@{image().digest}'" in body_of(by_digest).decode()
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        html = body_of(await proxy.get("/-/i/team/app:v1", "Accept: text/html")).decode()
        (file,) = set(re.findall(r'href="(/-/trust/release/key-[0-9a-f]+\.pem)"', html))
        assert b"BEGIN PUBLIC KEY" in await proxy.get(file)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            401,
            "The image team/app:v1 needs a login: use the name and password of docker login proxy.example.",
        ),
        (403, "The registry does not let you read team/app:v1; check the name, or ask for access to its repository."),
        (404, "The image team/app:v1 is not in the registry; check the repository and the tag."),
    ],
)
async def test_upstream_s_refusal_is_a_sentence_with_what_to_do(realm: Realm, status: int, text: str) -> None:
    """Before: "the registry answered 404"."""
    w = await world()
    w.registry.hooks.append(lambda seen: Said(status) if isinstance(seen.operation, PullManifest) else None)
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        assert body_of(await proxy.get("/-/i/team/app:v1")).decode() == f"{text}\n"


async def test_an_image_that_upstream_keeps_back_asks_for_a_login_with_us(realm: Realm) -> None:
    w = await world()
    challenge = ("www-authenticate", 'Bearer realm="http://127.0.0.1:5999/auth",service="registry"')
    w.registry.hooks.append(lambda seen: Said(401, (challenge,)) if isinstance(seen.operation, PullManifest) else None)
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        reply = await proxy.get("/-/i/team/app:v1")
    line, headers = head_of(reply)
    assert line.split()[1] == "401"
    assert 'realm="https://proxy.example/-/token"' in headers["www-authenticate"]
    assert b"5999" not in reply


async def test_pages_carry_the_name_in_force_now(realm: Realm) -> None:
    w = await world()
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        before = await proxy.get("/-/help", "Accept: text/html")
        w.ports = replace(w.ports, name="gatekeeper")
        after = await proxy.get("/-/help", "Accept: text/html")
    assert b"gatekeeper" not in before
    assert b"gatekeeper" in after


async def test_what_others_verify_with_is_there_for_everybody(realm: Realm) -> None:
    w = await world()
    async with in_memory(public_app(Recorder(), public_pages(lambda: w.ports, realm, ATTESTING))) as proxy:
        assert b"/-/trust/release/keys.pem" in await proxy.get("/-/trust/")
        assert b"BEGIN PUBLIC KEY" in await proxy.get("/-/trust/release/keys.pem")
