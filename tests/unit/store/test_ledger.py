"""Behaviour: tests/contract/test_ledger.py. Here: bytes survive a row as they are."""

from dataclasses import replace

import pytest

from proxy.server.store import Store
from tests.worlds.stored import signature_key, signed


@pytest.mark.parametrize("data", [b"", bytes(range(256)), b"'; DROP TABLE ledger; --", "🔏".encode()])
async def test_messages_and_signatures_are_bytes(store: Store, data: bytes) -> None:
    entry = replace(signed(signature=data), message=data, claims={"pusher": "ü'\0"})
    await store.ledger.put(entry)
    assert await store.ledger.find(signature_key()) == entry
