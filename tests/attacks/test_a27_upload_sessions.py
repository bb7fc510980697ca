"""Attack 27: upload sessions that are somebody else's, made up, or used again."""

from __future__ import annotations

import pytest

from proxy.oci.faults import Corrupt, Fault
from proxy.oci.operation import CancelUpload, FinishUpload, StartUpload, UploadChunk, UploadStatus
from proxy.oci.reference import digest_of, parse_digest, parse_repository
from tests.worlds.conversation import REPO, World, user, world
from tests.worlds.images import image
from tests.worlds.registry import MemoryRegistry, Said, Seen, error

DATA = b"a layer"
OTHER = parse_repository("team/other")


async def started(w: World) -> tuple[str, tuple[tuple[str, str], ...]]:
    answer = await w.say(StartUpload(REPO), user("alice"))
    (session,) = w.registry.uploads
    assert session in dict(answer.headers)["location"]
    return session, (("_state", session[::-1]),)


async def test_sessions_are_upstreams_own_and_travel_untouched_with_the_callers_credentials() -> None:
    w = await world()
    session, state = await started(w)
    op = FinishUpload(REPO, session, digest_of(DATA), state)
    assert (await w.say(op, user("alice"), DATA)).status == 201
    seen = w.registry.seen[-1]
    assert seen.operation == op
    assert seen.authorization == user("alice").authorization


@pytest.mark.parametrize("kind", [UploadChunk, UploadStatus, CancelUpload])
async def test_forged_and_replayed_sessions_are_upstreams_to_refuse(kind: type) -> None:
    w = await world()
    session, state = await started(w)
    body = DATA if kind is UploadChunk else None
    forged = [
        kind(REPO, "0" * 32, state),
        kind(REPO, session, (("_state", "forged"),)),
        kind(OTHER, session, state),
    ]
    for op in forged:
        assert (await w.say(op, user("mallory"), body)).status == 404
    await w.say(FinishUpload(REPO, session, digest_of(DATA), state), user("alice"), DATA)
    assert (await w.say(kind(REPO, session, state), user("alice"), body)).status == 404


async def test_a_finish_with_another_digest_stores_nothing() -> None:
    w = await world()
    session, state = await started(w)
    wrong = parse_digest("sha256:" + "0" * 64)
    assert (await w.say(FinishUpload(REPO, session, wrong, state), user("alice"), DATA)).status == 400
    assert not w.registry.shelf("team/app").blobs


@pytest.mark.parametrize(
    "location",
    [
        "/v2/team/other/blobs/uploads/abc",
        "https://evil.example/v2/team/other/blobs/uploads/abc",
        "/v2/team/app/manifests/latest",
        "/v2/_catalog",
        "",
        "nonsense",
        "/v2/team/app/blobs/uploads/../../manifests/latest",
    ],
)
async def test_our_own_uploads_follow_no_location_elsewhere(location: str) -> None:
    w = await world()

    def steer(seen: Seen) -> Said | None:
        started = isinstance(seen.operation, StartUpload)
        return Said(202, (("location", location),)) if started else None

    w.registry.hooks.append(steer)
    with pytest.raises((Fault, Corrupt)):
        await w.push(image("app"), "team/app", "v1")
    assert w.tag("team/app", "v1") is None
    assert not w.registry.count(FinishUpload)


async def test_an_upload_refused_upstream_is_refused() -> None:
    w = await world(registry=MemoryRegistry())
    w.registry.hooks.append(lambda s: error(403, "DENIED") if isinstance(s.operation, StartUpload) else None)
    assert (await w.say(StartUpload(REPO), user("mallory"))).status == 403
