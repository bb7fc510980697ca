"""The signer over a real token: several keys of one profile on it, of which the key book says what each may do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from proxy import config
from proxy.cli.init import initialise
from proxy.cli.init_texts import InitOptions
from proxy.oci.faults import Fault, Unavailable
from proxy.server.store import Store, open_store
from proxy.server.token_plans import tokens_plan
from proxy.store.clock import SystemClock
from proxy.tokens.open import Record
from proxy.tokens.signer import TokenSigner
from proxy.trust.keys import BookKey, KeyState, fingerprint
from tests.worlds.softhsm import softhsm_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(softhsm_missing(), reason="needs SoftHSM")]


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    initialise(InitOptions(tmp_path, "http://127.0.0.1:9"))
    return config.load(tmp_path / "countersign.yaml")


@pytest.fixture
async def store(settings: config.Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings.store.url, SystemClock())
    yield opened
    await opened.close()


async def started(settings: config.Settings, store: Store) -> TokenSigner:
    record = Record(store.keybook, store.journal, SystemClock())
    signer = TokenSigner(tokens_plan(settings), record, structlog.get_logger())
    try:
        await signer.start()
    except BaseException:
        await signer.close()
        raise
    return signer


@pytest.fixture
async def signer(settings: config.Settings, store: Store) -> AsyncIterator[TokenSigner]:
    opened = await started(settings, store)
    yield opened
    await opened.close()


def active(store: Store) -> BookKey:
    found = store.keybook.ring().active("release")
    assert found is not None
    return found


async def test_a_created_key_is_reported_until_it_is_recorded_and_signs_nothing(
    signer: TokenSigner, store: Store
) -> None:
    new = await signer.create_key("release", "release-20260102-abcdef")
    assert (new.profile, new.state, new.algorithm) == ("release", KeyState.PREPARED, "ecdsa-p256")
    assert [(s.label, s.fingerprint) for s in await signer.unrecorded()] == [(new.label, fingerprint(new.spki))]
    with pytest.raises(Unavailable, match="not in the key book and does not sign"):
        await signer.sign(new, b"m")
    await store.keybook.add(new)
    assert await signer.unrecorded() == []
    with pytest.raises(Unavailable, match="is prepared and does not sign"):
        await signer.sign(new, b"m")
    await signer.prove(new)


async def test_the_state_in_the_book_decides_what_signs(signer: TokenSigner, store: Store) -> None:
    old, new = active(store), await signer.create_key("release", "release-2")
    await store.keybook.add(new)
    await store.keybook.activate(fingerprint(new.spki), SystemClock().now())
    assert await signer.sign(new, b"m")
    assert await signer.sign(old, b"m"), "what a push began with it is finished with it"
    for state in (KeyState.RETIRED, KeyState.COMPROMISED):
        await store.keybook.set_state(fingerprint(old.spki), state, SystemClock().now())
        with pytest.raises(Unavailable, match=f"is {state} and does not sign; push again"):
            await signer.sign(old, b"m")


async def test_a_restart_finds_the_active_key_whatever_its_label(settings: config.Settings, store: Store) -> None:
    first = await started(settings, store)
    new = await first.create_key("release", "of another name")
    await store.keybook.add(new)
    await store.keybook.activate(fingerprint(new.spki), SystemClock().now())
    await first.close()
    again = await started(settings, store)
    assert await again.sign(active(store), b"m")
    assert fingerprint(active(store).spki) == fingerprint(new.spki)
    assert len(store.keybook.ring().ours) == 3
    await again.close()


async def test_an_active_key_that_is_not_on_the_token_is_said_and_never_replaced_by_what_is_there(
    settings: config.Settings, store: Store, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    wish = InitOptions(other, "http://127.0.0.1:9")
    await asyncio.to_thread(initialise, wish)
    await (await started(settings, store)).close()
    recorded = active(store)
    signer = await started(config.load(other / "countersign.yaml"), store)
    try:
        found = {each.key: each for each in signer.failing.now()}
        assert found[fingerprint(recorded.spki)].missing
        assert re.search(r"token \S+ holds 'attestation' .*'release' \(", found[fingerprint(recorded.spki)].why)
        with pytest.raises(Unavailable, match=f"does not hold key {fingerprint(recorded.spki)[:12]}"):
            await signer.sign(recorded, b"m")
        assert len(store.keybook.ring().ours) == 2
    finally:
        await signer.close()


async def test_a_profile_that_is_not_configured_gets_no_key(signer: TokenSigner) -> None:
    with pytest.raises(Fault, match="no key profile 'nope'; there are release, attestation"):
        await signer.create_key("nope", "nope")


async def test_a_label_is_used_once(signer: TokenSigner) -> None:
    with pytest.raises(Unavailable, match="'release' already"):
        await signer.create_key("release", "release")
