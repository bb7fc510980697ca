"""Keys that failed: marked by a failure, cleared by a signature alone, forgotten when they are not to sign any more."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress

import pytest

from proxy.oci.faults import Unavailable
from proxy.tokens.failing import FailingKeys
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.web.logs import open_log
from tests.worlds.memory import MemoryStore, SoftSigner


class Scene:
    def __init__(self) -> None:
        self.store, self.out, self.broken = MemoryStore(), io.StringIO(), True
        self.key = SoftSigner().create("release")
        self.failing = FailingKeys(self.store.keybook.ring, self.store.clock, open_log(self.out, as_json=True))

    async def prove(self, key: BookKey) -> None:
        if self.broken:
            self.failing.failed(key, "still lost")
            raise Unavailable("still lost")
        self.failing.works(key)

    async def make(self, _profile: str, _token: str) -> None:
        raise AssertionError("nothing is to be made")


async def scene() -> Scene:
    made = Scene()
    await made.store.keybook.add(made.key)
    return made


async def test_a_key_that_failed_is_away_until_it_has_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.tokens.failing.PROVE_S", 0)
    s = await scene()
    s.failing.failed(s.key, "session lost")
    assert s.failing.why("release", s.key.token) == "session lost"
    assert s.failing.why("other", s.key.token) is None
    proving = asyncio.create_task(s.failing.keep_proving(s.prove, s.make))
    for _ in range(5):
        await asyncio.sleep(0)
    assert s.failing.why("release", s.key.token) == "still lost"
    s.broken = False
    for _ in range(5):
        await asyncio.sleep(0)
    assert s.failing.now() == ()
    proving.cancel()
    with suppress(asyncio.CancelledError):
        await proving
    said = s.out.getvalue()
    assert (said.count("a key does not sign"), said.count("a key signs again")) == (1, 1)


async def test_a_key_that_is_not_to_sign_any_more_does_not_fail() -> None:
    s = await scene()
    s.failing.failed(s.key, "gone", missing=True)
    (one,) = s.failing.now()
    assert (one.missing, one.since) == (True, s.store.clock.now())
    assert s.failing.now(beside={s.key.token: "away"}) == ()
    await s.store.keybook.set_state(fingerprint(s.key.spki), KeyState.COMPROMISED, s.store.clock.now())
    assert s.failing.now() == ()


async def test_a_profile_that_never_had_a_key_there_is_ill_until_it_has_one() -> None:
    s = Scene()
    s.failing.not_made("release", s.key.token, "no key 'release'")
    assert s.failing.why("release", s.key.token) == "no key 'release'"
    await s.store.keybook.add(s.key)
    assert s.failing.now() == ()
