import random
from dataclasses import replace
from datetime import datetime, timedelta

from proxy.oci.reference import digest_of, parse_repository
from proxy.trust.denial import Denial
from proxy.trust.exception import SIGNATURES, PolicyException
from proxy.trust.overrides import AllOverrides, Named, Overrides, overrides_at
from proxy.trust.pattern import matches
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception

APP = parse_repository("team/app")
ONE, TWO = digest_of(b"one"), digest_of(b"two")
HOUR = timedelta(hours=1)


def at(now: datetime, orders: AllOverrides, latest: datetime | None = None) -> Overrides:
    return overrides_at(orders, now, latest or now).in_force


def test_the_stamp_differs_with_everything_that_is_in_force() -> None:
    orders = AllOverrides((denial(ONE, until=NOON + HOUR),), (exception(hours=2),))
    stamps = [at(NOON + hours * HOUR, orders).stamp for hours in (0, 1, 2)]
    assert stamps == [("d1", "e1"), ("e1",), ()]


def test_digests_that_are_named() -> None:
    orders = AllOverrides(
        (denial(ONE), denial(None, "team/**", name="d2")), (exception(digest=TWO), exception(name="e2"))
    )
    assert at(NOON, orders).named == {ONE, TWO}
    assert Overrides().named == frozenset()


def test_the_narrowest_exception_speaks_then_the_one_that_ends_last() -> None:
    wide, narrow = exception("team/**", hours=9, name="wide"), exception("team/app", hours=1, name="narrow")
    longer, one = exception("team/app", hours=3, name="longer"), exception(digest=ONE, hours=1, name="one")
    standing = Overrides(exceptions=(wide, narrow, longer, one))
    assert standing.exception(APP, {ONE}, SIGNATURES) == one
    assert standing.exception(APP, {TWO}, SIGNATURES) == longer
    assert standing.exception(parse_repository("team/x/y"), {TWO}, SIGNATURES) == wide
    assert standing.exception(parse_repository("other"), {ONE}, SIGNATURES) is None


def test_unsigned_pushes_need_an_exception_that_says_so() -> None:
    only_pulls, pushes = exception(name="p"), exception(unsigned_push=True, name="u")
    assert Overrides(exceptions=(only_pulls,)).unsigned_push(APP, ONE) is None
    assert Overrides(exceptions=(only_pulls, pushes)).unsigned_push(APP, ONE) == pushes
    assert Overrides(exceptions=(replace(pushes, digest=TWO),)).unsigned_push(APP, ONE) is None


def test_a_window_ends_when_something_changes_by_itself() -> None:
    assert overrides_at(AllOverrides(), NOON, NOON).until is None
    coming = exception(opened=NOON + HOUR, name="coming")
    orders = AllOverrides((denial(ONE, until=NOON + 3 * HOUR), denial(TWO, name="d2")), (exception(hours=2), coming))
    assert overrides_at(orders, NOON, NOON).until == NOON + HOUR
    window = overrides_at(orders, NOON + HOUR, NOON + HOUR)
    assert window.until == NOON + 2 * HOUR
    assert window.spans(NOON + HOUR)
    assert not window.spans(NOON)
    assert not window.spans(NOON + 2 * HOUR)


def test_a_clock_that_is_set_back_opens_no_exception_again() -> None:
    orders = AllOverrides((), (exception(hours=2),))
    assert at(NOON + HOUR, orders, latest=NOON + 2 * HOUR).exceptions == ()


def test_a_denial_that_was_over_only_by_a_wrong_clock_holds_again() -> None:
    orders = AllOverrides((denial(ONE, until=NOON + HOUR),), ())
    assert at(NOON + 5 * HOUR, orders).denials == ()
    assert at(NOON, orders, latest=NOON + 5 * HOUR).denials == orders.denials


def test_what_names_the_digest_speaks_before_what_names_the_repository() -> None:
    wide, here, digest = denial(None, "**", name="wide"), denial(None, "team/app", name="here"), denial(ONE, name="one")
    named = Named((wide, here, digest))
    assert list(named.about(APP, {ONE})) == [digest, here, wide]
    assert list(named.about(APP, {TWO})) == [here, wide]
    assert list(named.about(parse_repository("other"), ())) == [wide]
    assert set(named.digests) == {ONE}


def test_a_digest_in_some_repositories_only() -> None:
    named = Named((exception("team/*", ONE),))
    assert list(named.about(APP, {ONE})) == [exception("team/*", ONE)]
    assert list(named.about(parse_repository("other/app"), {ONE})) == []


def test_it_finds_what_looking_at_each_finds() -> None:
    rng = random.Random(41)  # noqa: S311  the same every time
    parts = ["team", "team-x", "app", "a*", "*", "**", "t*m"]
    names = ["team", "team/app", "team-x/app", "team/app/web", "app", "other/team"]
    digests = [None, ONE, TWO]
    everything: list[Denial | PolicyException] = []
    for n in range(300):
        where = "/".join(rng.choice(parts) for _ in range(rng.randint(1, 3)))
        make = rng.choice((denial, lambda d, w, name: exception(w, d, name=name)))
        everything.append(make(rng.choice(digests), where, name=str(n)))
    named = Named(everything)
    for name in names:
        for some in ((), {ONE}, {ONE, TWO}):
            each = {
                e.id for e in everything if (e.digest is None or e.digest in some) and matches(e.repositories, name)
            }
            assert {e.id for e in named.about(parse_repository(name), some)} == each
