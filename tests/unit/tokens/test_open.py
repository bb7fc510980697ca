"""A key on a token beside what the key book says; opening real tokens is in tests/contract and tests/faults."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import cast

import pytest

from hsm import KeyInfo, KeyMissing, Token, TokenInfo, TokenUnavailable
from proxy.journal.event import EventKind
from proxy.oci.faults import ConfigError, Unavailable
from proxy.tokens.failing import FailingKeys
from proxy.tokens.open import ProfileOnToken, Record, _adopt, _fitting, _labelled, _profile, served
from proxy.tokens.plan import ProfilePlan
from proxy.trust.keys import KeyState, fingerprint
from proxy.web.logs import open_log
from tests.worlds.memory import MemoryStore, SoftSigner

RELEASE = ProfilePlan("release", ("hsm", "spare"), "release", "ecdsa-p256")
FIRST, SECOND = (ProfileOnToken(RELEASE, token) for token in RELEASE.tokens)


def info() -> KeyInfo:
    return KeyInfo("prod-release", "01", "ecdsa-p256", SoftSigner().create().spki, "s1", {})


def failing(store: MemoryStore) -> FailingKeys:
    return FailingKeys(store.keybook.ring, store.clock, open_log(io.StringIO(), as_json=True))


def record(store: MemoryStore) -> Record:
    return Record(store.keybook, store.journal, store.clock)


async def test_the_first_key_ever_seen_becomes_the_profile_s_and_is_recorded_once() -> None:
    store, found = MemoryStore(), info()
    there = {fingerprint(found.spki): found}
    for _ in range(2):
        await _profile(FIRST, there, cast("Token", Shelf(found)), record(store), failing(store))
    (key,) = store.keybook.ring().ours
    assert (key.profile, key.token, key.token_serial, key.key_id) == ("release", "hsm", "s1", "01")
    assert (key.label, key.spki, key.state) == ("prod-release", found.spki, KeyState.ACTIVE)
    (event,) = store.journal.events
    assert (event.kind, event.detail["key"]) == (EventKind.KEY_CREATED, fingerprint(found.spki))


async def test_another_key_under_the_same_label_is_never_taken() -> None:
    store, first, other = MemoryStore(), info(), info()
    await _adopt(FIRST, first, record(store))
    there = {fingerprint(other.spki): other}
    marked = failing(store)
    await _profile(FIRST, there, cast("Token", Shelf(other)), record(store), marked)
    (one,) = marked.now()
    assert (one.key, one.missing) == (fingerprint(first.spki), True)
    for told in (fingerprint(other.spki)[:12], "'prod-release'", "token hsm"):
        assert told in one.why
    assert [key.spki for key in store.keybook.ring().ours] == [first.spki]
    assert len(store.journal.events) == 1


async def test_a_token_that_stands_by_has_an_active_key_of_its_own() -> None:
    store, first, second = MemoryStore(), info(), info()
    await _profile(FIRST, {fingerprint(first.spki): first}, cast("Token", Shelf(first)), record(store), failing(store))
    marked = failing(store)
    await _profile(SECOND, {fingerprint(first.spki): first}, cast("Token", Shelf(first)), record(store), marked)
    assert "a token that stands by needs its own key: give spare another key" in marked.now()[0].why
    await _profile(
        SECOND, {fingerprint(second.spki): second}, cast("Token", Shelf(second)), record(store), failing(store)
    )
    assert [(key.token, key.state) for key in store.keybook.ring().ours] == [
        ("hsm", KeyState.ACTIVE),
        ("spare", KeyState.ACTIVE),
    ]


class Shelf:
    """What is asked of a token here."""

    def __init__(self, holds: KeyInfo | Exception) -> None:
        self.holds = holds

    async def key(self, _label: str) -> KeyInfo:
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


@pytest.mark.parametrize(
    ("holds", "raised", "said"),
    [
        (TokenUnavailable("token hsm: away"), Unavailable, "token hsm: away"),
        (KeyMissing("token hsm has no key 'release'"), ConfigError, "make it with: countersign init"),
        (replace(info(), algorithm="rsa-3072"), ConfigError, "it is rsa-3072 on token hsm, the configuration says"),
    ],
)
async def test_a_token_that_is_away_is_waited_for_and_a_key_that_is_wrong_is_not(
    holds: KeyInfo | Exception, raised: type[Exception], said: str
) -> None:
    with pytest.raises(raised, match=said):
        _fitting(FIRST, await _labelled(FIRST, cast("Token", Shelf(holds))))


class Poor:
    """A token that does RSA alone."""

    async def describe(self) -> TokenInfo:
        return TokenInfo("poor", "s1", "m", "v", "1", ("RSA_PKCS", "RSA_PKCS_KEY_PAIR_GEN"), "slot")


async def test_a_key_that_the_token_cannot_sign_with_ends_the_start() -> None:
    await served(replace(RELEASE, algorithm="rsa-3072"), cast("Token", Poor()))
    with pytest.raises(ConfigError, match=r"choose another algorithm for keys\.release"):
        await served(RELEASE, cast("Token", Poor()))


async def test_a_token_without_pss_cannot_write_what_notary_wants() -> None:
    said = r"as JOSE wants it: it lists neither of SHA384_RSA_PKCS_PSS or RSA_PKCS_PSS; .* or formats that it can write"
    with pytest.raises(ConfigError, match=said):
        await served(replace(RELEASE, algorithm="rsa-3072", schemes=("pkix", "jose")), cast("Token", Poor()))
