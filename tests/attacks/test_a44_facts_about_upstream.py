"""Attack 44: a question whose terms a caller chose must teach us nothing about upstream. Over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from proxy.oci.manifest import Descriptor
from proxy.oci.operation import ListReferrers, ListTags, PullManifest, StartUpload
from proxy.oci.reference import Digest, fallback_tag, parse_digest, parse_repository
from proxy.registry.ports.upstream import Credential
from proxy.trust.policy import Clause, Policy, PullRules, PushRules
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.foreign import put_bundle, trusted
from tests.worlds.images import image, index
from tests.worlds.registry import Access, MemoryRegistry, Said, Seen, error
from tests.worlds.registry_http import connected
from tests.worlds.softkey import soft_key

APP, PLAIN = image("app"), image("plain")
PARTNER = soft_key(name="partner")
ANY_DIGEST = parse_digest("sha256:" + "1" * 64)
NOWHERE = parse_repository("no/such/repo")
JSON = (("content-type", "application/json"),)
# What registries that have the API answer about a repository they do not know, or do not show.
ABOUT_NOTHING = [
    Said(404),  # zot
    error(404, "NAME_UNKNOWN"),
    error(404, "MANIFEST_UNKNOWN"),
    Said(404, JSON, b'{"errors":[]}'),
    Said(404, (), b"404 page not found\n"),
    Said(301, (("location", "/login"),)),
    Said(400, JSON, b"{}"),
    error(403, "DENIED"),
    Said(405),
    Said(501),
]
each_answer = pytest.mark.parametrize("said", ABOUT_NOTHING, ids=lambda said: f"{said.status}-{len(said.body)}")


@asynccontextmanager
async def scene(*, referrers: bool = True, said: Said | None = None) -> AsyncIterator[World]:
    """An image that only a bundle in the referrers API signs, behind a registry that answers `said` about nothing."""
    registry = MemoryRegistry(referrers=referrers)

    def about_nothing(seen: Seen) -> Said | None:
        op = seen.operation
        unknown = isinstance(op, ListReferrers) and op.repository not in registry.shelves
        return said if unknown else None

    registry.hooks.append(about_nothing)
    policy = Policy(("**",), PushRules(sign_with=("release",)), PullRules(require=(Clause(("partner",)),)))
    w = await world(policy, trusted=(trusted(PARTNER),), registry=registry)
    w.put_behind(APP, "team/app", "v1")
    put_bundle(w, "team/app", described(APP.digest), PARTNER.layer("sigstore-bundle", APP.digest))
    w.put_behind(PLAIN, "team/app", "plain")
    async with connected(registry) as (_, upstream):
        w.ports = replace(w.ports, registry=upstream)
        yield w


def described(digest: Digest) -> Descriptor:
    return Descriptor(APP.media_type, digest, len(APP.body))


@each_answer
async def test_asking_about_a_repository_that_is_not_there_makes_nothing_unsigned(said: Said) -> None:
    async with scene(said=said) as w:
        answer = await w.say(ListReferrers(NOWHERE, ANY_DIGEST))
        assert answer.status in {200, said.status}
        assert (await w.pull("team/app", "v1")).body == APP.body
        for _ in range(3):
            await w.say(ListReferrers(NOWHERE, ANY_DIGEST))
        assert (await w.pull("team/app", APP.digest)).body == APP.body


@each_answer
async def test_nor_does_asking_before_it_is_pushed(said: Said) -> None:
    """The repository of the image itself, asked about while it is not there yet, and after a restart."""
    async with scene(said=said) as w:
        shelf = w.registry.shelves.pop("team/app")
        await w.say(ListReferrers(REPO, APP.digest))
        w.registry.shelves["team/app"] = shelf
        assert (await w.pull("team/app", "v1")).body == APP.body


@each_answer
async def test_what_cannot_be_asked_is_not_unsigned(said: Said) -> None:
    """The same answers about the image itself: only one that may mean the route makes it unsigned."""
    async with scene() as w:
        w.registry.hooks.append(lambda s: said if isinstance(s.operation, ListReferrers) else None)
        reason = await w.blocked("team/app", "v1")
        means_the_route = said.status == 404 and said.body and b"NAME_UNKNOWN" not in said.body
        assert reason == ("unsigned" if means_the_route else "not_verifiable")


async def test_what_was_there_and_is_gone_for_a_moment_is_not_unsigned() -> None:
    async with scene() as w:
        assert (await w.pull("team/app", "v1")).body == APP.body
        w.registry.hooks.append(lambda s: Said(404, (), b"gone\n") if isinstance(s.operation, ListReferrers) else None)
        w.store.clock.advance(120)
        assert await w.blocked("team/app", "v1") == "not_verifiable"


async def test_a_registry_without_the_api_tells_what_is_unsigned() -> None:
    async with scene(referrers=False) as w:
        assert await w.blocked("team/app", "plain") == "unsigned"
        assert (await w.pull("team/app", "v1")).body == APP.body  # from the fallback tag
        assert w.registry.count(ListReferrers) == 1


@each_answer
async def test_what_is_signed_here_is_listed_in_both_places_where_the_api_is_in_doubt(said: Said) -> None:
    async with scene() as w:
        w.registry.hooks.append(lambda s: said if isinstance(s.operation, ListReferrers) else None)
        new = image("new")
        assert (await w.push(new, "team/new", "v1")).status == 201
        assert w.tag("team/new", fallback_tag(new.digest)) is not None
        listed = await w.say(ListReferrers(parse_repository("team/new"), new.digest))
        assert listed.status == 200
        assert b"sigstore" in listed.body


@pytest.mark.parametrize("seed", ["image", "index"])
async def test_a_registry_that_reads_the_referrers_tag_as_the_digest_itself(seed: str) -> None:
    """Pushing works, the tag is left alone, our bundle is listed; the children of an index are not its referrers."""
    pushed = image("a") if seed == "image" else index(image("a"), image("b"))
    w = await world(registry=MemoryRegistry(referrers=False))

    def dash(seen: Seen) -> Said | None:
        op = seen.operation
        if not isinstance(op, PullManifest) or op.reference != fallback_tag(pushed.digest):
            return None
        return w.registry.answer(replace(seen, operation=replace(op, reference=pushed.digest)))

    w.registry.hooks.append(dash)
    assert (await w.push(pushed, "team/app", "v1")).status == 201
    assert w.tag("team/app", fallback_tag(pushed.digest)) is None
    assert (await w.pull("team/app", "v1")).body == pushed.body
    (bundle,) = json.loads((await w.say(ListReferrers(REPO, pushed.digest))).body)["manifests"]
    assert bundle["digest"] in {e.artifact for e in await w.store.ledger.entries(REPO, pushed.digest)}


@pytest.mark.parametrize("refusal", [400, 411, 413, 415, 501])
async def test_a_blob_refused_in_one_repository_costs_the_others_nothing(refusal: int) -> None:
    """A quota, a name it does not like: what one repository does not take in one request, another one does."""
    w = await world()
    full = parse_repository("full/app")

    def quota(seen: Seen) -> Said | None:
        op = seen.operation
        whole = isinstance(op, StartUpload) and op.digest is not None
        return error(refusal, "DENIED") if whole and getattr(op, "repository", "") == full else None

    w.registry.hooks.append(quota)
    assert (await w.push(image("a"), full, "v1")).status == 201
    assert (await w.push(image("b"), "team/app", "v1")).status == 201
    assert w.ports.cache.single_post == {full: False, REPO: True}


@pytest.mark.parametrize("foreign", ["http://127.0.0.1:9/token", "https://evil.example/token"])
async def test_the_realm_of_one_repository_is_not_that_of_all(foreign: str) -> None:
    """Whoever asks for a repository with another realm must not send everybody else's log-in there, or stop it."""
    registry = MemoryRegistry(access=Access("token", {"alice": "secret"}))
    odd = parse_repository("odd/app")

    def other(seen: Seen) -> Said | None:
        if getattr(seen.operation, "repository", "") != odd:
            return None
        challenge = f'Bearer realm="{foreign}",service="x",scope="repository:odd/app:pull"'
        return Said(401, (("www-authenticate", challenge),))

    registry.hooks.append(other)
    registry.put_manifest("team/app", APP.body, APP.media_type, "v1")
    async with connected(registry) as (_, upstream):
        for _ in range(2):
            for repository in (odd, REPO):
                reply = await upstream.perform(ListTags(repository), Credential())
                upstream.realm.relayed(reply.headers, "https://proxy.example")
            for scope in ((("scope", "repository:team/app:pull"),), ()):
                issued = await upstream.realm.token("GET", scope, user("alice").authorization)
                assert issued.status == 200
