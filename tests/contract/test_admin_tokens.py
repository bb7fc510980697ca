"""AdminTokens: hashes by id, the first one only once, revoked for good."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.admin.ports import AdminTokens
from proxy.admin.token import AdminToken, hashed
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Search
from proxy.trust.allotment import Allotment
from proxy.trust.roles import Role
from tests.contract.conftest import Record
from tests.worlds.memory import NOON

TOKEN = AdminToken(
    "a1b2c3d4e5f6",
    "ci \N{SNOWMAN}",
    (Role.VIEWER, Role.KEY_ADMIN),
    hashed("x"),
    NOON,
    NOON + timedelta(days=1),
    "bootstrap",
    repositories=("team/**",),
    agreed_by="max",
)
OTHER = replace(TOKEN, id="ffffffffffff", name="other", created=NOON + timedelta(seconds=1))


async def test_tokens_come_back_whole_oldest_first(admin_tokens: AdminTokens) -> None:
    assert await admin_tokens.find(TOKEN.id) is None
    await admin_tokens.add(OTHER)
    await admin_tokens.add(TOKEN)
    assert await admin_tokens.find(TOKEN.id) == TOKEN
    assert await admin_tokens.all() == (TOKEN, OTHER)


async def test_a_token_is_revoked_once_and_stays_so(admin_tokens: AdminTokens) -> None:
    await admin_tokens.add(TOKEN)
    await admin_tokens.add(OTHER)
    at = NOON + timedelta(hours=1)
    assert await admin_tokens.revoke(TOKEN.id, at)
    assert not await admin_tokens.revoke(TOKEN.id, at + timedelta(hours=1))
    assert not await admin_tokens.revoke("0" * 12, at)
    assert await admin_tokens.all() == (replace(TOKEN, revoked=at), OTHER)


async def test_there_is_one_first_token_even_after_it_was_revoked(admin_tokens: AdminTokens) -> None:
    assert sorted(await asyncio.gather(admin_tokens.add_first(TOKEN), admin_tokens.add_first(TOKEN))) == [False, True]
    await admin_tokens.revoke(TOKEN.id, NOON)
    assert not await admin_tokens.add_first(OTHER)
    assert [token.id for token in await admin_tokens.all()] == [TOKEN.id]


async def test_two_who_want_one_name_at_once_are_told_apart(admin_tokens: AdminTokens) -> None:
    same = replace(OTHER, name=TOKEN.name.upper())
    got = await asyncio.gather(admin_tokens.add(TOKEN), admin_tokens.add(same), return_exceptions=True)
    assert [type(each) for each in got if each is not None] == [ValueError]
    assert len(await admin_tokens.all()) == 1
    await admin_tokens.add(replace(same, id="0" * 12, created=TOKEN.expires))


async def test_one_maker_has_only_so_many_that_are_valid(admin_tokens: AdminTokens) -> None:
    room = Allotment("bootstrap", 2, 5)
    await admin_tokens.add(TOKEN, room)
    await admin_tokens.add(OTHER, room)
    third = replace(TOKEN, id="0" * 12, name="third")
    with pytest.raises(ValueError, match="tokens list"):
        await admin_tokens.add(third, room)
    await admin_tokens.add(replace(third, by="erika"), Allotment("erika", 2, 5))
    await admin_tokens.revoke(OTHER.id, NOON)
    await admin_tokens.add(replace(third, id="1" * 12, name="fourth"), room)
    assert len(await admin_tokens.all()) == 4


async def test_the_journal_is_read_page_by_page(journal: Record) -> None:
    for number in range(5):
        await journal.record(Event(NOON, EventKind.ADMIN_CALLED, request_id=str(number)))
    found, position = list[list[str]](), None
    for _ in range(4):
        rows = (await journal.entries(Search(limit=2, position=position))).rows
        found.append([row.event.request_id for row in rows])
        position = rows[-1].position if rows else None
    assert found == [["4", "3"], ["2", "1"], ["0"], []]
