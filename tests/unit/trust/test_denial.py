from datetime import timedelta

from proxy.oci.reference import digest_of, parse_repository
from tests.worlds.memory import NOON
from tests.worlds.orders import denial

BAD, GOOD = digest_of(b"bad"), digest_of(b"good")
APP, OTHER = parse_repository("team/app"), parse_repository("other/app")


def test_a_digest_is_denied_wherever_it_is() -> None:
    assert denial(BAD).is_about(APP, {GOOD, BAD})
    assert denial(BAD).is_about(OTHER, {BAD})
    assert not denial(BAD).is_about(APP, {GOOD})
    assert not denial(BAD).is_about(APP, ())
    assert denial(BAD).target == BAD


def test_a_repository_is_denied_whatever_is_in_it() -> None:
    assert denial(None, "team/**").is_about(APP, ())
    assert denial(None, "team/app").is_about(APP, {GOOD})
    assert not denial(None, "team/**").is_about(OTHER, {GOOD})
    assert denial(None, "team/**").target == "team/**"


def test_it_holds_until_its_end_or_for_good() -> None:
    assert denial(BAD).holds_at(NOON + timedelta(days=10_000))
    ending = denial(BAD, until=NOON + timedelta(hours=1))
    assert ending.holds_at(NOON + timedelta(minutes=59))
    assert not ending.holds_at(NOON + timedelta(hours=1))
