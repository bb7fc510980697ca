"""The signer without any token: what it says then. The same suite as for every Signer is in tests/contract."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from pathlib import Path

import pytest

from proxy.oci.faults import ConfigError, Unavailable
from proxy.server.token_plans import tokens_plan
from proxy.tokens.open import Record
from proxy.tokens.signer import TokenSigner
from proxy.web.logs import open_log
from tests.unit.config.test_settings import MINIMAL, SIGNING, parse
from tests.worlds.memory import NOON, FrozenClock, MemoryStore, SoftSigner


def signer(text: str, folder: Path, clock: FrozenClock | None = None, store: MemoryStore | None = None) -> TokenSigner:
    store = store or MemoryStore(clock or FrozenClock())
    record = Record(store.keybook, store.journal, store.clock)
    return TokenSigner(tokens_plan(parse(text, str(folder))), record, open_log(io.StringIO(), as_json=True))


async def test_without_tokens_nothing_is_wrong_and_nothing_is_signed(tmp_path: Path) -> None:
    store = MemoryStore()
    none = signer(MINIMAL, tmp_path, store=store)
    await none.start()
    assert none.health() is None
    with pytest.raises(Unavailable, match="is not in the key book and does not sign"):
        await none.sign(SoftSigner().create("release"), b"message")
    await store.keybook.add(key := SoftSigner().create("release"))
    with pytest.raises(Unavailable, match="token soft"):
        await none.sign(key, b"message")
    assert none.health() == "token soft is not open"
    await none.close()


async def test_since_when_it_is_ill_is_remembered_until_it_is_well(tmp_path: Path) -> None:
    clock = FrozenClock()
    ill = signer(SIGNING, tmp_path, clock)
    since = []
    for wrong in ("it did not open", "it still does not", None, "again"):
        ill._tokens.wrong = {"hsm": wrong} if wrong else {}
        assert ill.health() == (f"token hsm: {wrong}" if wrong else None)
        since.append(next((at for _, at in ill.away().values()), None))
        clock.advance(60)
    assert since == [NOON, NOON, None, NOON + timedelta(seconds=180)]


async def test_why_a_token_is_away_is_what_a_push_is_told(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.keybook.add(key := SoftSigner().create("release"))
    away = signer(MINIMAL, tmp_path, store=store)
    away._tokens.wrong["soft"] = "the module shows no token"
    with pytest.raises(Unavailable, match="the module shows no token"):
        await away.sign(key, b"message")


async def test_a_start_without_its_pin_ends_and_leaves_nothing_running(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    refused = signer(SIGNING, tmp_path)
    with pytest.raises(ConfigError, match="PIN of token hsm"):
        await refused.start()
    await refused.close()
    assert asyncio.all_tasks() == before
