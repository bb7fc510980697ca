"""A manifest named by sha512 was refused on pull and let through, or half done, everywhere else: one answer to all."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from proxy.oci.faults import Fault
from proxy.oci.image_name import parse_name
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import PullBlob, PullManifest, PushManifest
from proxy.oci.paths import parse
from proxy.oci.reference import Digest, digest_of, parse_reference
from proxy.web.pages import named_image
from tests.worlds.conversation import REPO, World, world
from tests.worlds.denials import denied
from tests.worlds.images import Image, descriptor, dump, image, index
from tests.worlds.listener import Recorder, in_memory, registry

APP = image("app")
LONG = digest_of(APP.body, "sha512")
SAID = "manifests are known by their sha256 digest here: name it by that, or by a tag, in place of sha512"
ASKED = [
    ("GET", f"/v2/team/app/manifests/{LONG}"),
    ("HEAD", f"/v2/team/app/manifests/{LONG}"),
    ("PUT", f"/v2/team/app/manifests/{LONG}"),
    ("DELETE", f"/v2/team/app/manifests/{LONG}"),
    ("GET", f"/v2/team/app/referrers/{LONG}"),
]


def refused(ask: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_every_operation_says_the_same(method: str, path: str) -> None:
    fault = refused(lambda: parse(method, path, "", Limits()))
    assert (fault.code, fault.status, fault.reason, fault.message) == ("UNSUPPORTED", 403, "not_judged", SAID)
    assert fault.phrase == SAID
    assert len(SAID) <= 120


@pytest.mark.parametrize(("method", "path"), ASKED)
async def test_no_flow_and_no_registry_is_asked(method: str, path: str) -> None:
    flow = Recorder()
    async with in_memory(registry(flow)) as spoken:
        reply = await spoken.get(path, "Content-Length: 0", method=method)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.splitlines()[0].decode() == f"HTTP/1.1 403 {SAID}"
    assert flow.requests == []
    if method != "HEAD":
        assert json.loads(body)["errors"][0]["message"] == SAID


@pytest.mark.parametrize(
    "ask", [lambda: parse_name(f"team/app@{LONG}", ()), lambda: named_image(f"team/app@{LONG}")], ids=["cli", "page"]
)
def test_names_that_people_write(ask: Callable[[], object]) -> None:
    assert refused(ask).message == SAID


async def test_a_flow_that_is_asked_all_the_same() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.shelf("team/app").manifests[LONG] = (APP.media_type, APP.body)
    seen = len(w.registry.seen)
    await denied(w, lambda: w.say(PullManifest(REPO, LONG)), "not_judged")
    assert not [op for op in w.registry.seen[seen:] if isinstance(op, PullManifest)]


def listing(digest: Digest) -> Image:
    entries = [descriptor(APP.media_type, APP.body), {**descriptor(APP.media_type, APP.body), "digest": digest}]
    return index(APP, manifests=entries)


def about(digest: Digest) -> Image:
    return image("about", subject={**descriptor(APP.media_type, APP.body), "digest": digest})


@pytest.mark.parametrize("made", [listing, about])
async def test_what_refers_to_one_is_not_pushed(made: Callable[[Digest], Image]) -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.seen.clear()
    for one in (made(LONG), made(APP.digest)):
        attempt = w.push(one, "team/app", "v2")
        if one.digest == made(APP.digest).digest:
            assert (await attempt).status == 201
            continue
        with pytest.raises(Fault) as caught:
            await attempt
        assert caught.value.message.endswith(SAID)
        assert "refers to a manifest" in caught.value.message
        assert not [op for op in w.registry.seen if isinstance(op, PushManifest)]
        assert w.store.journal.events[-1].kind == "push.denied"


async def test_an_index_that_lists_one_is_pulled_and_what_it_lists_is_not() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    there = listing(LONG)
    w.registry.put_manifest("team/app", there.body, there.media_type, "many")
    w.registry.shelf("team/app").manifests[LONG] = (APP.media_type, APP.body)
    await denied(w, lambda: w.pull("team/app", there.digest), "unsigned")  # and not: unreadable
    await denied(w, lambda: w.say(PullManifest(REPO, LONG)), "not_judged")


async def test_blobs_have_the_digest_they_were_uploaded_under() -> None:
    blob = b"a layer"
    long = digest_of(blob, "sha512")
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [{**descriptor("application/vnd.oci.image.layer.v1.tar", blob), "digest": long}],
    }
    w: World = await world()
    one = Image(dump(body), OCI_MANIFEST, (b"{}",))
    w.registry.shelf("team/app").blobs[long] = blob
    await w.push(one, "team/app", "v1")
    assert (await w.say(PullBlob(REPO, long))).status == 200
    assert parse("GET", f"/v2/team/app/blobs/{long}", "", Limits()) == PullBlob(REPO, long)
    assert parse_reference(long) == long
