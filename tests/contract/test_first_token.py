"""The bootstrap token: written once by init, taken over by the first start, over after a day, and doctor says so."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from proxy import config
from proxy.admin.first_token import first_token_file, make_first_token, read_first_token, take_over
from proxy.admin.ports import AdminTokens
from proxy.admin.token import AdminToken, matches
from proxy.journal.event import EventKind
from proxy.oci.faults import ConfigError
from proxy.server.doctor.credentials import check_admin
from proxy.trust.roles import Role
from tests.contract.conftest import Record
from tests.unit.config.test_settings import MINIMAL
from tests.worlds.memory import NOON, FrozenClock, MemoryAdminTokens, MemoryJournal


def made(directory: Path) -> str:
    path = make_first_token(directory, NOON)
    assert path is not None
    return path.read_text().strip()


def test_it_is_written_once_for_its_owner_only(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert stat.S_IMODE(first_token_file(tmp_path).stat().st_mode) == 0o600
    assert make_first_token(tmp_path, NOON + timedelta(days=2)) is None
    assert first_token_file(tmp_path).read_text().strip() == text


async def test_the_first_start_takes_it_over(tmp_path: Path, admin_tokens: AdminTokens, journal: Record) -> None:
    text, clock = made(tmp_path), FrozenClock()
    assert await take_over(tmp_path, admin_tokens, journal, clock) is None
    (token,) = await admin_tokens.all()
    assert matches(token, text)
    assert set(token.roles) == {Role.POLICY_ADMIN, Role.KEY_ADMIN}
    assert token.expires == NOON + timedelta(hours=24)
    await admin_tokens.revoke(token.id, NOON)
    assert await take_over(tmp_path, admin_tokens, journal, clock) is None
    assert [t.revoked for t in await admin_tokens.all()] == [NOON], "never a second time"


async def test_it_is_recorded_before_it_works(tmp_path: Path) -> None:
    text, journal = made(tmp_path), MemoryJournal()

    class Full(MemoryAdminTokens):
        async def add_first(self, token: AdminToken) -> bool:
            assert journal.kinds() == [EventKind.ADMIN_TOKEN]
            return await super().add_first(token)

    await take_over(tmp_path, Full(), journal, FrozenClock())
    assert text not in repr(journal.events)


@pytest.mark.parametrize("days", [1, 400])
async def test_after_a_day_it_is_worth_nothing_wherever_it_was_copied(tmp_path: Path, days: int) -> None:
    made(tmp_path)
    first_token_file(tmp_path).touch()
    tokens = MemoryAdminTokens()
    assert await take_over(tmp_path, tokens, MemoryJournal(), FrozenClock(NOON + timedelta(days=days))) is None
    assert not tokens.rows


@pytest.mark.parametrize("text", ["", "admin", f"csadm_0123456789ab_{'A' * 43}", "\xff" * 10_000])
async def test_what_is_no_such_token_opens_nothing(tmp_path: Path, text: str) -> None:
    first_token_file(tmp_path).parent.mkdir()
    first_token_file(tmp_path).write_text(text)
    tokens = MemoryAdminTokens()
    odd = await take_over(tmp_path, tokens, MemoryJournal(), FrozenClock())
    assert odd is not None
    assert "delete it" in odd
    assert not tokens.rows
    with pytest.raises(ConfigError):
        read_first_token(tmp_path)


async def test_without_a_file_there_is_no_token(tmp_path: Path) -> None:
    tokens = MemoryAdminTokens()
    assert await take_over(tmp_path, tokens, MemoryJournal(), FrozenClock()) is None
    assert not tokens.rows


async def test_one_that_ends_later_than_a_day_ahead_was_never_made_by_init(
    tmp_path: Path, admin_tokens: AdminTokens, journal: Record
) -> None:
    make_first_token(tmp_path, NOON + timedelta(seconds=1))
    odd = await take_over(tmp_path, admin_tokens, journal, FrozenClock())
    assert odd is not None
    assert "makes none for more than 24 hours" in odd
    assert not await admin_tokens.all()
    found = check_admin(config.parse(MINIMAL.encode(), tmp_path / "countersign.yaml"), FrozenClock())
    assert (found.state, "did not make it" in found.detail) == ("wrong", True)


async def test_where_one_was_used_before_no_other_is_taken(tmp_path: Path, journal: Record) -> None:
    made(tmp_path)
    assert await take_over(tmp_path, MemoryAdminTokens(), journal, FrozenClock()) is None
    cut_short = MemoryAdminTokens()  # killed between the record and the token
    assert await take_over(tmp_path, cut_short, journal, FrozenClock()) is None
    assert len(cut_short.rows) == 1
    first_token_file(tmp_path).unlink()
    make_first_token(tmp_path, NOON - timedelta(hours=1))
    emptied = MemoryAdminTokens()
    odd = await take_over(tmp_path, emptied, journal, FrozenClock())
    assert odd is not None
    assert "was stored before" in odd
    assert not emptied.rows


def test_doctor_says_what_lies_about(tmp_path: Path) -> None:
    settings, clock = config.parse(MINIMAL.encode(), tmp_path / "countersign.yaml"), FrozenClock()
    assert check_admin(settings, clock).state == "ok"
    made(tmp_path)
    found = check_admin(settings, clock)
    assert (found.state, "until 2026-01-03 12:00 UTC" in found.detail) == ("warning", True)
    assert "countersign tokens create" in found.fix
    clock.advance(24 * 3600)
    assert "expired at 2026-01-03 12:00 UTC" in check_admin(settings, clock).detail
    path = first_token_file(tmp_path)
    path.chmod(0o644)
    found = check_admin(settings, clock)
    assert (found.state, found.fix) == ("wrong", f"chmod 600 {path}")
    path.write_text("x")
    assert "delete it" in check_admin(settings, clock).detail
