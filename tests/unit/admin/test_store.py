"""Admin tokens in the tables: no secret, and not even a hash where errors are printed."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from proxy.admin.token import hashed, render
from proxy.oci.faults import Unavailable
from proxy.server.store import Store
from tests.contract.test_admin_tokens import TOKEN


async def test_the_same_id_twice_is_refused_without_naming_what_is_kept(store: Store) -> None:
    await store.admin_tokens.add(TOKEN)
    with pytest.raises(Unavailable) as refused:
        await store.admin_tokens.add(replace(TOKEN, name="other"))
    assert TOKEN.hashed not in str(refused.value)


async def test_no_column_has_the_text_of_a_token(store: Store) -> None:
    secret = render(TOKEN.id, bytes(32))
    assert hashed(secret) != secret
    await store.admin_tokens.add(TOKEN)
    rows = await store._database.read(lambda connection: connection.execute(text("SELECT * FROM admin_tokens")).all())
    assert len(rows) == 1
    assert secret.rpartition("_")[2] not in str(rows)
