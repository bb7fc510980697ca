"""A revision that somebody altered in the store is never read as one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from proxy.oci.faults import Corrupt
from proxy.oci.slices import Slice
from proxy.server.store import Store
from tests.contract.test_policy_book import EVENT, FIRST, SECOND


@pytest.mark.parametrize("column", ["body", "who", "policies", "parent", "hash"])
async def test_an_altered_row_is_corrupt_and_can_be_followed(store: Store, tmp_path: Path, column: str) -> None:
    await store.policy_book.append(FIRST, "[]", EVENT)
    await store.policy_book.append(SECOND, "[]", EVENT)
    with sqlite3.connect(tmp_path / "store.db") as by_hand:
        by_hand.execute(f"UPDATE policy_revisions SET {column} = 'policies: [x]' WHERE number = 2")  # noqa: S608
    by_hand.close()
    with pytest.raises(Corrupt, match=r"revision 2 of the policies .* was altered in the store"):
        await store.policy_book.newest()
    with pytest.raises(Corrupt):
        await store.policy_book.find(2)
    assert await store.policy_book.find(1) == FIRST
    assert [revision.number for revision in await store.policy_book.history(Slice(10))] == [2, 1]
    number, stored = await store.policy_book.tip()
    third = SECOND.__class__(number + 1, stored, "policies: []\n", "p3", SECOND.at, "e", "socket", "mended")
    assert await store.policy_book.append(third, "[]", EVENT)
    assert await store.policy_book.newest() == third
