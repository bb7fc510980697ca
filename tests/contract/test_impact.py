"""What a change affects: counted from the ledger and the journal, exactly, in memory and in both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from proxy.journal.event import Event, EventKind
from proxy.journal.impact import AffectedImages, BlockedIn, NamedImage, SignedBy, SignedImage, Within
from proxy.oci.reference import Digest, Repository, Tag
from proxy.oci.slices import Slice
from proxy.trust.fact import TagFact
from proxy.trust.ledger import SignatureKey, Stage
from proxy.trust.reason import Reason
from tests.contract.conftest import AnyStore
from tests.worlds.memory import NOON
from tests.worlds.stored import APP, OTHER, digest, intended, manifest, signed

OLD, NEW, LOST = "a" * 64, "b" * 64, "c" * 64
SINCE = NOON - timedelta(days=30)
NOTHING = AffectedImages(0, 0, 0, 0, (), ())


async def sign(store: AnyStore, of: str, *keys: str, where: Repository = APP, at: datetime = NOON) -> None:
    for key in keys:
        for form in ("cosign-simple", "sigstore-bundle"):
            named = SignatureKey(where, digest(of), key, form, f"reg.example/{where}")
            await store.ledger.put(signed(named, at=at))


async def pull(
    store: AnyStore,
    of: str,
    who: str,
    where: Repository = APP,
    times: int = 1,
    kind: EventKind = EventKind.PULL_ALLOWED,
    at: datetime = NOON,
    reason: str = "",
) -> None:
    event = Event(at, kind, who, "password", where, "1", digest(of), reason, f"{of} {who}")
    for _ in range(times):
        await store.journal.counted(event)


async def test_images_that_only_one_key_signed_are_counted_exactly(store: AnyStore) -> None:
    await sign(store, "one", OLD)
    await sign(store, "both", OLD, NEW)
    await sign(store, "lost too", OLD, LOST)
    await sign(store, "new", NEW)
    await sign(store, "one", OLD, where=OTHER)
    found = await store.journal.affected(SignedBy((OLD,), (NEW,)), SINCE)
    assert (found.images, found.repositories) == (3, 2), "the key LOST does not count"
    assert {image.digest for image in found.named} == {digest("one"), digest("lost too")}
    assert (await store.journal.affected(SignedBy((OLD,)), SINCE)).images == 4
    assert (await store.journal.affected(SignedBy((OLD,), (NEW,), repository=OTHER), SINCE)).images == 1
    assert await store.journal.affected(SignedBy(("d" * 64,)), SINCE) == NOTHING


async def test_a_signature_that_was_never_made_or_is_removed_saves_no_image(store: AnyStore) -> None:
    await sign(store, "one", OLD)
    at = SignatureKey(APP, digest("one"), NEW, "cosign-simple", "reg.example/prod/app")
    await store.ledger.put(intended(at))
    assert (await store.journal.affected(SignedBy((OLD,), (NEW,)), SINCE)).images == 1
    await store.ledger.put(signed(at))
    assert (await store.journal.affected(SignedBy((OLD,), (NEW,)), SINCE)).images == 0
    await store.ledger.advance([at], Stage.REMOVED)
    assert (await store.journal.affected(SignedBy((OLD,), (NEW,)), SINCE)).images == 1


async def test_an_image_needs_as_many_other_signatures_as_the_policy_says(store: AnyStore) -> None:
    await sign(store, "three", OLD, NEW, LOST)
    await sign(store, "two", OLD, NEW)
    found = await store.journal.affected(SignedBy((OLD,), (NEW, LOST), needed=2), SINCE)
    assert [image.digest for image in found.named] == [digest("two")]


async def test_what_the_ledger_dates_before_a_compromise_goes_on_to_count(store: AnyStore) -> None:
    await sign(store, "early", OLD, at=NOON - timedelta(days=2))
    await sign(store, "late", OLD)
    found = await store.journal.affected(SignedBy((OLD,), since=NOON - timedelta(days=1)), SINCE)
    assert [image.digest for image in found.named] == [digest("late")]


async def test_who_pulled_them_lately_is_named_most_pulls_first(store: AnyStore) -> None:
    for n in range(7):
        await sign(store, f"image {n}", OLD)
    await sign(store, "another", NEW)
    for n, who in enumerate(("ann", "bob", "cem", "dan", "eve", "flo", "gil")):
        await pull(store, "image 1", who, times=n + 1)
    await pull(store, "image 2", "ann", times=2)
    await pull(store, "image 3", "ann", kind=EventKind.PULL_DENIED, reason=Reason.UNSIGNED)
    await pull(store, "image 4", "old", at=SINCE - timedelta(hours=2))
    await pull(store, "another", "bob")
    await store.tags.learn(TagFact(APP, Tag("v1"), digest("image 1"), NOON, "ann", "password"))
    found = await store.journal.affected(SignedBy((OLD,), (NEW,)), SINCE)
    assert (found.images, found.pulled, found.callers) == (7, 2, 7)
    assert found.by == ("gil", "flo", "eve", "dan", "ann")
    assert found.named[:2] == (
        NamedImage(APP, digest("image 1"), ("v1",), 28),
        NamedImage(APP, digest("image 2"), (), 2),
    )
    assert len(found.named) == 5
    assert [image.pulls for image in found.named[2:]] == [0, 0, 0]


async def test_pulls_of_an_image_elsewhere_are_not_its_pulls(store: AnyStore) -> None:
    await sign(store, "one", OLD)
    await pull(store, "one", "ann", where=OTHER)
    assert (await store.journal.affected(SignedBy((OLD,)), SINCE)).pulled == 0


@pytest.mark.parametrize("old", [0, 41])
async def test_pulls_of_the_window_are_found_wherever_they_begin(store: AnyStore, old: int) -> None:
    await sign(store, "one", OLD)
    events = [Event(SINCE - timedelta(days=3), EventKind.STARTED, request_id=str(n)) for n in range(old)]
    await store.journal.record(*events)
    await pull(store, "one", "early", at=SINCE - timedelta(hours=1, minutes=1))
    await pull(store, "one", "ann", at=SINCE)
    await store.journal.record(*events)  # late on disk
    await pull(store, "one", "bob")
    found = await store.journal.affected(SignedBy((OLD,)), SINCE)
    assert found.by == ("ann", "bob")


TREE = {"prod/app": 1, "prod/other": 2, "prod/deep/app": 1, "production/app": 1, "prod": 1, "test/app_x": 1}
MATCHED = {
    "**": 7, "prod/app": 1, "prod/**": 5, "prod/*": 3, "**/app": 3, "*/app_x": 1, "*/appax": 0, "prod/d*/app": 1,
    "**/**": 7, "none/**": 0,
}  # fmt: skip


async def test_a_pattern_affects_what_it_matches(store: AnyStore) -> None:
    for name, number in TREE.items():
        for n in range(number):
            await store.facts.learn(manifest(f"image {n}", repository=Repository(name)))
            await pull(
                store, f"image {n}", "ann", where=Repository(name), kind=EventKind.PULL_WARNED, reason="unsigned"
            )
    await store.facts.learn(replace(manifest("a signature"), artifact=True))
    await store.facts.learn(replace(manifest("an sbom"), subject=digest("image 0")))
    for pattern, images in MATCHED.items():
        for by in (Within(pattern), BlockedIn(pattern)):
            found = await store.journal.affected(by, SINCE)
            assert (found.images, found.pulled) == (images, images), by


async def test_a_denied_digest_affects_every_repository_and_what_it_lists(store: AnyStore) -> None:
    await store.facts.learn(manifest("platform"))
    await store.facts.learn(manifest("inner", children=("platform",)))
    await store.facts.learn(manifest("index", children=("inner",)))
    await store.facts.learn(manifest("index", repository=OTHER))
    await store.facts.learn(manifest("another"))
    for of in ("platform", "index", "another"):
        await pull(store, of, "ann")
    found = await store.journal.affected(Within("**", (digest("index"),)), SINCE)
    assert (found.images, found.repositories, found.pulled) == (4, 2, 2)
    assert (await store.journal.affected(Within("**", (digest("platform"),)), SINCE)).images == 1
    assert await store.journal.affected(Within("**", (digest("unknown"),)), SINCE) == NOTHING


async def test_an_exception_lets_through_what_policy_blocked_but_no_denial(store: AnyStore) -> None:
    await pull(store, "blocked", "ann", kind=EventKind.PULL_DENIED, reason=Reason.UNSIGNED, times=3)
    await pull(store, "warned", "bob", kind=EventKind.PULL_WARNED, reason=Reason.UNSIGNED)
    await pull(store, "denied", "cem", kind=EventKind.PULL_DENIED, reason=Reason.DENIED_DIGEST)
    await pull(store, "good", "dan")
    nameless = Event(NOON, EventKind.PULL_DENIED, "eve", "password", APP, "1", "", Reason.NO_POLICY)
    await store.journal.counted(nameless)
    found = await store.journal.affected(BlockedIn("prod/*"), SINCE)
    assert (found.images, found.pulled, found.by) == (2, 2, ("ann", "bob"))
    assert [(image.digest, image.pulls) for image in found.named] == [(digest("blocked"), 3), (digest("warned"), 1)]
    only = BlockedIn("prod/app", (Digest(digest("warned")),))
    assert (await store.journal.affected(only, SINCE)).by == ("bob",)


async def test_the_images_of_a_key_are_listed_page_by_page(store: AnyStore) -> None:
    for n in range(5):
        await sign(store, f"image {n}", OLD, at=NOON - timedelta(days=n))
    await sign(store, "both", OLD, NEW)
    await sign(store, "image 0", OLD, where=OTHER)
    await sign(store, "new", NEW)
    await store.tags.learn(TagFact(APP, Tag("v1"), digest("both"), NOON, "ann", "password"))
    by = SignedBy((OLD,), (NEW,))
    whole = await store.journal.signed(by, Slice(100))
    assert [(row.repository, row.digest) for row in whole] == sorted((row.repository, row.digest) for row in whole)
    assert len(whole) == 7
    (both,) = [row for row in whole if not row.only]
    assert both == SignedImage(APP, digest("both"), ("v1",), NOON, False)
    key = (whole[2].repository, whole[2].digest)
    assert await store.journal.signed(by, Slice(3)) == whole[:3]
    assert await store.journal.signed(by, Slice(9, key)) == whole[3:]
    assert await store.journal.signed(by, Slice(9, key, back=True)) == whole[:2]
    assert await store.journal.signed(by, Slice(100), only=True) == tuple(row for row in whole if row.only)
    (other,) = await store.journal.signed(replace(by, repository=OTHER), Slice(9))
    assert (other.digest, other.signed) == (digest("image 0"), NOON)
