from __future__ import annotations

import json

from proxy.oci.operation import ListReferrers, ListTags
from proxy.oci.reference import digest_of
from proxy.registry.request import Response
from tests.worlds.conversation import REPO, World, world
from tests.worlds.foreign import list_in_fallback
from tests.worlds.images import image
from tests.worlds.registry import Access, MemoryRegistry

APP = image("app")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


async def listed(w: World, artifact_type: str | None = None) -> list[dict[str, object]]:
    answer = await w.say(ListReferrers(REPO, APP.digest, artifact_type))
    body = answer.body or (await answer.relayed.read(100_000) if answer.relayed else b"")
    found: list[dict[str, object]] = json.loads(body)["manifests"]
    return found


async def test_with_and_without_the_api_the_answer_is_the_same() -> None:
    answers = []
    for referrers in (True, False):
        w = await world(registry=MemoryRegistry(referrers=referrers))
        await w.push(APP, "team/app", "v1")
        (one,) = await listed(w)
        answers.append({k: v for k, v in one.items() if k not in {"digest", "size"}})
        assert await listed(w, BUNDLE) == [one]
        assert await listed(w, "application/other") == []
    assert answers[0] == answers[1]


async def test_nothing_refers_to_it_is_an_empty_index_and_never_404() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    answer = await w.say(ListReferrers(REPO, digest_of(b"nothing")))
    assert answer.status == 200
    assert json.loads(answer.body)["manifests"] == []
    filtered = await w.say(ListReferrers(REPO, digest_of(b"nothing"), BUNDLE))
    assert dict(filtered.headers)["oci-filters-applied"] == "artifactType"


async def test_an_entry_whose_manifest_is_gone_stays_as_it_was() -> None:
    w = await world(registry=MemoryRegistry(referrers=False))
    entry: dict[str, object] = {"mediaType": APP.media_type, "digest": digest_of(b"gone"), "size": 4}
    list_in_fallback(w.registry, "team/app", APP.digest, [entry])
    (one,) = await listed(w)
    assert one["digest"] == digest_of(b"gone")


async def test_who_may_not_read_is_told_by_upstream() -> None:
    access = Access("htpasswd", users={"x": "secret"})
    w = await world(registry=MemoryRegistry(referrers=False, access=access))
    answer: Response = await w.say(ListReferrers(REPO, APP.digest))
    assert answer.status == 401
    assert w.registry.count(ListTags) == 1
