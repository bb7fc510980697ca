from dataclasses import replace
from datetime import timedelta

from proxy.oci.reference import digest_of, parse_repository
from tests.worlds.memory import NOON
from tests.worlds.orders import exception

APP, OTHER = parse_repository("team/app"), parse_repository("team/other")
ONE, TWO = digest_of(b"one"), digest_of(b"two")


def test_it_is_open_from_its_opening_to_its_end() -> None:
    two_hours = exception(hours=2)
    assert two_hours.open_at(NOON)
    assert two_hours.open_at(NOON + timedelta(minutes=119))
    assert not two_hours.open_at(NOON + timedelta(hours=2))
    assert not two_hours.open_at(NOON - timedelta(seconds=1))
    assert not replace(two_hours, closed=NOON).open_at(NOON + timedelta(minutes=1))


def test_it_is_about_its_repositories_only() -> None:
    assert exception("team/app").is_about(APP, ())
    assert not exception("team/app").is_about(OTHER, {ONE})
    assert exception("team/*").is_about(OTHER, {ONE})


def test_with_a_digest_it_is_about_that_digest_only() -> None:
    assert exception(digest=ONE).is_about(APP, {TWO, ONE})
    assert not exception(digest=ONE).is_about(APP, {TWO})
    assert not exception(digest=ONE).is_about(APP, ())
    assert not exception(digest=ONE).is_about(OTHER, {ONE})


def test_its_scope_in_words() -> None:
    assert exception("team/*").scope == "team/*"
    assert exception(digest=ONE).scope == f"team/app@{ONE}"
