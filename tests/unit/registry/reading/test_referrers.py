from __future__ import annotations

import pytest

from proxy.oci.faults import Corrupt
from proxy.oci.operation import ListReferrers, PullManifest
from proxy.oci.reference import digest_of
from proxy.registry.reading.referrers import entries_of, next_page, referrers_of
from proxy.registry.request import Request
from tests.worlds.conversation import ANYBODY, REPO, world
from tests.worlds.foreign import list_in_fallback
from tests.worlds.images import dump, image, index
from tests.worlds.registry import MemoryRegistry

APP = image("app")


@pytest.mark.parametrize("referrers", [True, False])
async def test_the_api_and_the_tag_together_each_once(referrers: bool) -> None:
    w = await world(registry=MemoryRegistry(referrers=referrers))
    await w.push(APP, "team/app", "v1")
    older: dict[str, object] = {"mediaType": APP.media_type, "digest": digest_of(b"old"), "size": 3}
    if referrers:
        list_in_fallback(w.registry, "team/app", APP.digest, [older])
    found = await referrers_of(REPO, APP.digest, Request(ANYBODY, "r"), w.ports)
    assert len(found.descriptors) == 1 + referrers
    assert (found.beyond, found.silent) == (0, None)


async def test_one_place_that_is_silent_leaves_the_other() -> None:
    w = await world()
    await w.push(APP, "team/app", "v1")
    w.registry.fail(PullManifest, 503)
    found = await referrers_of(REPO, APP.digest, Request(ANYBODY, "r"), w.ports)
    assert len(found.descriptors) == 1
    assert "503" in str(found.silent)
    w.registry.fail(ListReferrers, 429)
    found = await referrers_of(REPO, APP.digest, Request(ANYBODY, "r"), w.ports)
    assert (found.descriptors, "429" in str(found.silent)) == ((), True)


async def test_an_image_is_no_list_and_something_else_is_a_lie() -> None:
    w = await world()
    assert entries_of(APP.body, w.ports) is None
    assert entries_of(index().body, w.ports) == ()
    for body in (b"<html>", b"[]", b"{}", dump({"manifests": []})):
        with pytest.raises(Corrupt):
            entries_of(body, w.ports)


@pytest.mark.parametrize(
    ("link", "page"),
    [
        (None, None),
        ("", None),
        ('</v2/a/referrers/x>; rel="prev"', None),
        ('</v2/a/tags/list>; rel="next"', None),
        ('</v2/a/referrers/../x>; rel="next"', None),
        (f'</v2/team/app/referrers/{APP.digest}?p=2>; rel="next"', (("p", "2"),)),
        (f'<https://other/v2/team/app/referrers/{APP.digest}?p=2>; rel="next"', (("p", "2"),)),
    ],
)
def test_links_lead_to_pages_of_referrers_or_nowhere(link: str | None, page: object) -> None:
    found = next_page(link)
    assert (found and found.page) == page
