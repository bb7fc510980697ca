"""Attacks 8 and 9 inside: upstream's answers contradict each other, or change between one look and the next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.operation import PullBlob, PullManifest, PushManifest
from proxy.oci.reference import digest_of, is_digest, parse_reference, parse_repository, signature_tag
from tests.worlds.conversation import REPO, World, world
from tests.worlds.denials import denied
from tests.worlds.images import image
from tests.worlds.registry import Said, Seen

APP, BAD = image("app"), image("bad")
HTML = b"<!doctype html><title>log in</title>"


async def scene(*, warm: bool = False, age: float = 0) -> World:
    w = await world(limits=Limits(tag_age_s=age))
    await w.push(APP, "team/app", "v1")
    w.put_behind(BAD, "team/app", "bad")
    if warm:
        await w.pull("team/app", "v1")
        await w.pull("team/app", APP.digest)
        w.store.clock.advance(120)
    return w


def get(seen: Seen, reference: str | None = None) -> bool:
    op = seen.operation
    return isinstance(op, PullManifest) and not op.head and reference in (None, op.reference)


def head(seen: Seen) -> bool:
    return isinstance(seen.operation, PullManifest) and seen.operation.head


@pytest.mark.parametrize("warm", [False, True])
async def test_a_get_by_digest_that_returns_other_bytes(warm: bool) -> None:
    w = await scene(warm=warm)
    w.ports.cache.bodies.clear()
    w.registry.lies.append(lambda seen, said: replace(said, body=BAD.body) if get(seen, APP.digest) else said)
    fault = await denied(w, lambda: w.pull("team/app", APP.digest), "not_verifiable")
    assert fault.headers["Retry-After"]


@pytest.mark.parametrize("warm", [False, True])
async def test_a_tag_whose_get_returns_other_bytes_under_a_good_digest_header(warm: bool) -> None:
    w = await scene(warm=warm)

    def lie(seen: Seen, said: Said) -> Said:
        return replace(said, body=BAD.body) if get(seen, "v1") else said

    w.registry.lies.append(lie)
    w.ports.cache.bodies.clear()
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")


async def test_a_head_that_claims_the_good_digest_for_the_bad_tag_gets_the_good_bytes() -> None:
    """HEAD and GET disagree: what is served is what was hashed and judged, and it says so."""
    w = await scene(warm=True)
    w.ports.cache.last[parse_repository("never"), parse_reference("used"), b""] = APP.digest
    w.put_behind(BAD, "team/app", "v1")

    def lie(seen: Seen, said: Said) -> Said:
        headers = tuple((k, APP.digest if k == "docker-content-digest" else v) for k, v in said.headers)
        return replace(said, headers=headers) if head(seen) else said

    w.registry.lies.append(lie)
    answer = await w.pull("team/app", "v1")
    assert answer.body == APP.body
    assert dict(answer.headers)["docker-content-digest"] == APP.digest
    await denied(w, lambda: w.pull("team/app", BAD.digest), "unsigned")


@pytest.mark.parametrize("claimed", ["sha256:" + "0" * 64, "sha256:" + "A" * 64, "nonsense", "", "sha512:" + "0" * 128])
async def test_a_digest_header_is_never_believed(claimed: str) -> None:
    w = await scene(warm=True)

    def lie(_: Seen, said: Said) -> Said:
        return replace(
            said, headers=tuple((k, claimed if k == "docker-content-digest" else v) for k, v in said.headers)
        )

    w.registry.lies.append(lie)
    for reference in ("v1", APP.digest):
        answer = await w.pull("team/app", reference)
        assert answer.body == APP.body
        assert dict(answer.headers)["docker-content-digest"] == APP.digest
    await denied(w, lambda: w.pull("team/app", "bad"), "unsigned")


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "application/octet-stream", ""])
async def test_html_with_200(media_type: str) -> None:
    w = await scene()
    page = Said(200, (("content-type", media_type),), HTML)
    w.registry.hooks.append(lambda seen: page if get(seen) else None)
    await denied(w, lambda: w.pull("team/app", "v1"), "ambiguous_manifest")
    await denied(w, lambda: w.pull("team/app", APP.digest), "not_verifiable")


@pytest.mark.parametrize("status", [201, 202, 204, 206, 301, 302, 304, 307])
async def test_another_status_for_an_unconditional_request(status: int) -> None:
    w = await scene()
    w.registry.hooks.append(lambda seen: Said(status, (), APP.body) if get(seen) else None)
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")


async def test_a_manifest_that_breaks_off() -> None:
    w = await scene()
    w.registry.cuts[PullManifest] = 20
    await denied(w, lambda: w.pull("team/app", "v1"), "not_verifiable")


async def test_signatures_that_are_other_bytes_than_they_claim() -> None:
    w = await scene()
    w.store.ledger.rows.clear()
    w.registry.lies.append(lambda seen, s: replace(s, body=b"{}") if isinstance(seen.operation, PullBlob) else s)
    await denied(w, lambda: w.pull("team/app", "v1"), "bad_signature")


async def test_an_upstream_that_acknowledges_what_it_did_not_keep() -> None:
    """It says 201 and stores nothing: our signatures find no way either, and the tag is not acknowledged."""
    w = await world()
    said = Said(201, (("docker-content-digest", APP.digest),))
    w.registry.hooks.append(lambda seen: said if isinstance(seen.operation, PushManifest) else None)
    with pytest.raises(Exception, match="was not signed"):
        await w.push(APP, "team/app", "v1")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_of_a_push_is_no_acceptance(status: int) -> None:
    w = await world()
    there = Said(status, (("location", "https://elsewhere.example/"),))
    w.registry.hooks.append(lambda seen: there if isinstance(seen.operation, PushManifest) else None)
    with pytest.raises(Exception, match="was not signed"):
        await w.push(APP, "team/app", "v1")
    assert not w.signer.made


@pytest.mark.parametrize("age", [0, 30.0])
async def test_the_tag_moves_between_any_two_requests_of_a_pull(age: float) -> None:
    """Whatever upstream says in between: what comes out is the signed image whole, or a refusal."""
    for moment in range(6):
        w = await scene(age=age)
        start = len(w.registry.seen)

        def move(_: Seen, w: World = w, moment: int = moment, start: int = start) -> None:
            if len(w.registry.seen) - start == moment + 1:
                w.registry.shelf("team/app").tags["v1"] = BAD.digest

        w.registry.hooks.append(move)
        for _ in range(3):
            with suppress(Fault):
                answer = await w.pull("team/app", "v1")
                assert answer.body == APP.body
                assert dict(answer.headers)["docker-content-digest"] == digest_of(answer.body)


async def test_the_tag_moves_between_head_and_get_of_one_client() -> None:
    w = await scene()
    seen = dict((await w.pull("team/app", "v1", head=True)).headers)["docker-content-digest"]
    w.put_behind(BAD, "team/app", "v1")
    await denied(w, lambda: w.pull("team/app", "v1"), "unsigned")
    assert (await w.pull("team/app", seen)).body == APP.body


async def test_the_signature_list_moves_while_it_is_read() -> None:
    w = await scene()
    w.store.ledger.rows.clear()
    tag = signature_tag(APP.digest)

    def swap(seen: Seen) -> None:
        if get(seen, tag):
            w.registry.shelf("team/app").tags[tag] = BAD.digest

    w.registry.hooks.append(swap)
    assert (await w.pull("team/app", "v1")).body == APP.body  # the bundle is still there
    assert not is_digest(tag)
    assert REPO == "team/app"
