import random

from proxy.oci.reference import digest_of, parse_repository
from proxy.trust.denial import Denial
from proxy.trust.exception import PolicyException
from proxy.trust.overrides import Named
from proxy.trust.pattern import matches
from tests.worlds.orders import denial, exception

ONE, TWO = digest_of(b"one"), digest_of(b"two")
APP = parse_repository("team/app")


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
