"""Lists are read from files here; the client they are fetched with has tests of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from proxy.journal.problem import ProblemId
from proxy.oci.limits import Limits
from proxy.server.revocation_lists import AGAIN, RETRY, RevocationLists
from proxy.trust.authority import Authority
from proxy.trust.keys import KeyRing
from proxy.upstream.outbound import Outbound
from tests.worlds.certificates import chain_of, trio
from tests.worlds.memory import NOON, FrozenClock
from tests.worlds.revocations import WEEK, Entry, crl

LEAF, MIDDLE, ROOT = trio()
LIMITS = Limits(crl_bytes=2000)


class Scene:
    """One authority with one file, and the lists of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.crl"
        self.clock = FrozenClock()
        self.trusted = [Authority("ca", frozenset(), (), crl=(str(self.file),))]
        self.lists = RevocationLists(lambda: self.trusted, Outbound(), LIMITS, self.clock, structlog.get_logger())

    def now(self) -> tuple[bytes, ...]:
        return self.lists.known(KeyRing("r", authorities=tuple(self.trusted))).authorities[0].lists

    async def later(self, time: timedelta) -> tuple[bytes, ...]:
        self.clock.advance(time.total_seconds())
        await self.lists.refresh()
        return self.now()


async def test_a_list_is_there_once_it_was_read_and_a_newer_one_takes_its_place(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    old, new = crl(MIDDLE, at=NOON - timedelta(days=2)), crl(MIDDLE, at=NOON)
    scene.file.write_bytes(old)
    assert scene.now() == ()
    await scene.lists.refresh()
    assert scene.now() == (old,)
    first = NOON - timedelta(days=2)
    assert scene.lists.times() == {str(scene.file): (first, first + WEEK)}
    scene.file.write_bytes(new)
    assert await scene.later(AGAIN - timedelta(seconds=1)) == (old,), "not asked for again yet"
    assert await scene.later(timedelta(seconds=1)) == (new,)


async def test_what_cannot_be_had_leaves_what_is_known_and_is_tried_again_soon(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.file.write_bytes(crl(MIDDLE, at=NOON))
    await scene.lists.refresh()
    (known,) = scene.now()
    for content in (b"junk", b"x" * 2001, crl(MIDDLE, at=NOON - timedelta(days=1)), crl(ROOT)[:-1]):
        scene.file.write_bytes(content)
        assert await scene.later(AGAIN) == (known,)
        assert scene.lists.problems() == [], "what we have is in force"
    scene.file.write_bytes(newer := crl(MIDDLE, at=NOON + timedelta(hours=1)))
    assert await scene.later(RETRY) == (newer,)


async def test_what_replaces_a_list_is_neither_forged_nor_from_the_future(tmp_path: Path) -> None:
    leaf, middle, _ = chain_of(LEAF, MIDDLE, ROOT)
    scene = Scene(tmp_path)
    scene.trusted = [replace(scene.trusted[0], roots=frozenset({middle}))]
    scene.file.write_bytes(known := crl(MIDDLE, Entry(leaf), at=NOON - timedelta(days=1)))
    await scene.lists.refresh()
    for bad in (
        crl(MIDDLE, at=NOON, signer=ROOT),  # in its name, saying that nobody is revoked
        crl(MIDDLE, at=NOON + timedelta(days=3650)),  # after which no other would ever be newer
    ):
        scene.file.write_bytes(bad)
        assert await scene.later(AGAIN) == (known,)
    scene.file.write_bytes(other := crl(ROOT, at=NOON))  # of a CA that configuration does not hold: seen when it counts
    assert await scene.later(RETRY) == (other,)


async def test_a_source_that_gives_nothing_in_force_is_a_problem(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.lists.refresh()
    (problem,) = scene.lists.problems()
    assert problem.what == f"no revocation list in force from {scene.file}: {scene.file}: No such file or directory"
    assert "crl_unavailable" in problem.stops
    assert problem.id is ProblemId.REVOCATION_LIST


async def test_sources_that_are_about_to_be_in_force_are_asked_before_and_others_forgotten_after(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    await scene.lists.refresh()
    other = tmp_path / "other.crl"
    other.write_bytes(crl(ROOT, at=NOON))
    coming = [Authority("ca", frozenset(), (), crl=(str(other),))]
    await scene.lists.refresh(coming)
    scene.trusted = coming
    assert scene.now() == (crl_of(other),)
    await scene.lists.refresh()
    assert set(scene.lists.times()) == {str(other)}
    assert scene.lists.problems() == []


def crl_of(path: Path) -> bytes:
    return path.read_bytes()


async def test_where_nobody_asks_for_lists_the_keys_are_as_they_were(tmp_path: Path) -> None:
    ring = KeyRing("r", authorities=(Authority("ca", frozenset(), ()),))
    assert Scene(tmp_path).lists.known(ring) is ring


async def test_the_keys_with_their_lists_are_put_together_once_and_again_when_a_list_or_key_is_new(
    tmp_path: Path,
) -> None:
    """They were made anew for every pull, and so no pull could see that nothing had changed."""
    scene = Scene(tmp_path)
    ring = KeyRing("r", authorities=tuple(scene.trusted))
    before = scene.lists.known(ring)
    assert scene.lists.known(ring) is before
    scene.file.write_bytes(crl(MIDDLE, at=NOON))
    await scene.lists.refresh()
    assert scene.lists.known(ring) is not before
    assert scene.lists.known(ring) is scene.lists.known(ring)
    assert scene.lists.known(KeyRing("s", authorities=tuple(scene.trusted))).revision == "s"
