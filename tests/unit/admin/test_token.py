"""Admin tokens as values: shown once, kept as a hash, over at a moment that cannot be moved."""

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.admin.token import (
    FIRST_FOR,
    AdminToken,
    ends_too_late,
    expiry_reason,
    first_id,
    first_token,
    hashed,
    id_of,
    matches,
    name_taken,
    render,
)
from proxy.trust.names import name_refusal
from proxy.trust.roles import Role
from tests.worlds.memory import NOON

SECRET = bytes(range(32))
TEXT = render("a1b2c3d4e5f6", SECRET)
TOKEN = AdminToken("a1b2c3d4e5f6", "ci", (Role.VIEWER,), hashed(TEXT), NOON, NOON + timedelta(days=1), "test")


def test_a_text_has_its_id_and_matches_its_token_only() -> None:
    assert id_of(TEXT) == TOKEN.id
    assert matches(TOKEN, TEXT)
    assert not matches(TOKEN, render(TOKEN.id, bytes(32)))
    assert not matches(None, TEXT)
    assert not matches(TOKEN, "\udcff")
    assert not matches(replace(TOKEN, hashed="0" * 64), TEXT)


def test_neither_text_nor_hash_is_in_what_is_printed() -> None:
    assert TOKEN.hashed not in repr(TOKEN)


@pytest.mark.parametrize("text", ["", "csadm_", "csadm_a1b2c3d4e5f6_short", TEXT + "x", TEXT.upper(), "Bearer " + TEXT])
def test_what_is_no_token(text: str) -> None:
    assert id_of(text) is None


def test_a_secret_has_all_its_bits() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 16"):
        render("a1b2c3d4e5f6", bytes(16))


def test_when_it_is_over() -> None:
    assert expiry_reason(TOKEN, NOON) is None
    assert expiry_reason(TOKEN, TOKEN.expires) == "expired at 2026-01-03 12:00 UTC"
    assert expiry_reason(replace(TOKEN, revoked=NOON), NOON) == "was revoked at 2026-01-02 12:00 UTC"


def test_the_first_token_carries_its_end() -> None:
    text = render(first_id(NOON), SECRET)
    token = first_token(text)
    assert token is not None
    assert token.expires == NOON + FIRST_FOR
    assert set(token.roles) == {Role.POLICY_ADMIN, Role.KEY_ADMIN}
    assert matches(token, text)
    assert first_token(TEXT) is None
    assert first_token("anything") is None


def test_the_first_token_ends_within_a_day_or_is_none() -> None:
    token = first_token(render(first_id(NOON), SECRET))
    assert token is not None
    assert not ends_too_late(token, NOON)
    assert ends_too_late(token, NOON - timedelta(seconds=1))


@pytest.mark.parametrize("name", ["erika", "Erika Muster", "ci@build-7", "a", "x.y+z_1"])
def test_names_that_may_be(name: str) -> None:
    assert name_refusal(name) is None


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "-a", "Countersign", "operator on  the HOST", "a(b)", "a:b", "\u0430nonymous", "a\n"]
)
def test_names_that_may_not_be(name: str) -> None:
    assert name_refusal(name) is not None


def test_a_name_is_taken_only_by_a_valid_token() -> None:
    new = replace(TOKEN, id="f" * 12, name="CI")
    assert name_taken(new, [TOKEN]) is not None
    assert (
        name_taken(new, [replace(TOKEN, revoked=NOON), replace(TOKEN, expires=NOON), replace(TOKEN, name="c")]) is None
    )
