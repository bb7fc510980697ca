from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from proxy.trust.authority import Authority
from proxy.trust.evidence import CertifiedChain, Proven, Verified
from proxy.trust.explain import certified_as_json, certified_from_json
from proxy.trust.reason import Reason
from proxy.trust.revocation import Listed, Listing, NotKnown
from proxy.trust.signatures import has_expired, vouched_for
from tests.worlds.memory import NOON

HOUR = timedelta(hours=1)
WORDS = CertifiedChain(("ca",), (b"leaf", b"root"), (NOON - HOUR, NOON + HOUR), NOON)
CA = Authority("ca", frozenset({b"root"}), ())
OTHER = Authority("other", frozenset({b"another root"}), ())


def at(moment: datetime, who: str = "ca", margin: timedelta = timedelta()) -> tuple[Proven, ...]:
    return (Proven(who, moment - margin, moment + margin),)


def by(key: str, certified: CertifiedChain | None = WORDS) -> Verified:
    return Verified(key, "notation-jws", certified=certified)


def counted(
    *signatures: Verified, authorities: tuple[Authority, ...] = (CA,), known: tuple[str, ...] = ()
) -> list[str]:
    return [who for who, found in vouched_for(signatures, authorities, known, NOON) if isinstance(found, Verified)]


def test_an_authority_counts_once_however_many_it_certifies() -> None:
    assert counted(by("a"), by("b"), by("a")) == [CA.fingerprint]
    both = replace(WORDS, authorities=("ca", "other"))
    assert counted(by("a", both), by("b", both), authorities=(CA, OTHER)) == [CA.fingerprint, OTHER.fingerprint]
    assert counted(by("a", both), by("a", both), authorities=(CA, OTHER)) == [CA.fingerprint], "one key is one signer"


@pytest.mark.parametrize("roots", [{b"root", b"another root"}, {b"issuing"}])
def test_one_ca_makes_no_two_authorities_of_itself(roots: set[bytes]) -> None:
    chained = replace(WORDS, authorities=("ca", "other"), chain=(b"leaf", b"issuing", b"root"))
    judges = (CA, replace(OTHER, roots=frozenset(roots)))
    for order in (judges, judges[::-1]):
        assert len(counted(by("a", chained), by("b", chained), authorities=order)) == 1
    elsewhere = replace(chained, authorities=("other",), chain=(b"leaf", b"issuing elsewhere", b"another root"))
    if b"another root" in roots:
        assert len(counted(by("a", replace(chained, authorities=("ca",))), by("b", elsewhere), authorities=judges)) == 2


def test_two_cas_under_one_root_are_two() -> None:
    one, two = (Authority(name, frozenset({name.encode()}), ()) for name in ("one", "two"))
    under = [replace(WORDS, authorities=(a.name,), chain=(b"leaf", a.name.encode(), b"root")) for a in (one, two)]
    assert len(counted(*(by(str(n), each) for n, each in enumerate(under)), authorities=(one, two))) == 2


def test_a_key_that_counts_by_itself_is_not_counted_again() -> None:
    assert counted(by("a"), known=("a",)) == []


def test_only_authorities_of_the_clause_and_only_what_is_certified() -> None:
    assert counted(by("a"), authorities=(OTHER,)) == []
    assert counted(by("a", None)) == []


def test_the_dates_of_the_certificates_are_held_against_the_present_or_a_proven_moment() -> None:
    for shift, good in ((-HOUR, True), (HOUR, True), (-HOUR - HOUR / 3600, False), (HOUR + HOUR / 3600, False)):
        moment = replace(WORDS, valid=(NOON - HOUR - shift, NOON + HOUR - shift))
        [(_, found)] = vouched_for([by("a", moment)], [CA], (), NOON)
        assert found == (by("a", moment) if good else Reason.CERTIFICATE_EXPIRED)
    long_ago = replace(WORDS, valid=(NOON - 9 * HOUR, NOON - 8 * HOUR))
    assert counted(by("a", replace(long_ago, signed_at=NOON - 9 * HOUR))) == [], "nobody proves what the signer says"
    assert counted(by("a", replace(long_ago, proven=at(NOON - 8 * HOUR)))) == [CA.fingerprint]


def test_a_signature_counts_until_the_moment_its_signer_named() -> None:
    until = by("a", replace(WORDS, expires=NOON + HOUR, proven=at(NOON)))
    assert not has_expired(until, NOON)
    assert has_expired(until, NOON + HOUR)
    assert list(vouched_for([until], [CA], (), NOON + HOUR)) == []
    assert not has_expired(by("a"), NOON)
    assert not has_expired(by("a", None), NOON)


def test_what_is_kept_with_a_decision_comes_back_the_same() -> None:
    bare = replace(WORDS, chain=())
    for kept in (bare, replace(bare, expires=NOON, proven=at(NOON))):
        assert certified_from_json(certified_as_json(kept)) == kept
    assert certified_from_json(None) is None


LONG_AGO = replace(WORDS, valid=(NOON - 9 * HOUR, NOON - 8 * HOUR))


def said(certified: CertifiedChain, *judges: Authority) -> list[Verified | Reason | NotKnown]:
    return [found for _, found in vouched_for([by("a", certified)], judges, (), NOON)]


def test_a_proven_time_counts_for_the_authority_that_trusts_who_proved_it() -> None:
    both = replace(LONG_AGO, authorities=("ca", "other"), proven=at(NOON - 8 * HOUR, "other"))
    assert said(both, CA) == [Reason.CERTIFICATE_EXPIRED]
    assert said(both, CA, OTHER) == [by("a", both)]


def test_all_of_what_a_timestamp_may_mean_must_lie_within_the_certificates() -> None:
    second = timedelta(seconds=1)
    assert (
        said(replace(LONG_AGO, proven=at(NOON - 8 * HOUR - second, margin=second)), CA)[0] != Reason.CERTIFICATE_EXPIRED
    )
    for moment in (NOON - 8 * HOUR, NOON - 9 * HOUR):
        assert said(replace(LONG_AGO, proven=at(moment, margin=second)), CA) == [Reason.CERTIFICATE_EXPIRED]


ASKS = replace(CA, crl=("ca.crl",))
CLEAR = Listed("CN=leaf", (Listing(NOON - HOUR, NOON + HOUR),))


def on(*listed: Listed, **more: object) -> CertifiedChain:
    return replace(WORDS, listed={"ca": listed}, **more)  # type: ignore[arg-type]


def test_an_authority_that_asks_for_lists_hears_them() -> None:
    revoked = Listed("CN=leaf", (Listing(NOON - HOUR, NOON + HOUR, NOON - HOUR),))
    stolen = Listed("CN=leaf", (Listing(NOON - HOUR, NOON + HOUR, NOON, NOON - HOUR / 2),))
    assert said(on(CLEAR), ASKS) == [by("a", on(CLEAR))]
    assert said(on(revoked), ASKS) == [Reason.CERTIFICATE_REVOKED]
    assert said(on(stolen), ASKS) == [Reason.CERTIFICATE_REVOKED]
    assert said(on(revoked), CA) == [by("a", on(revoked))], "who does not ask is not told"
    before = on(stolen, proven=at(NOON - HOUR))
    assert said(before, ASKS) == [by("a", before)], "proven to be from before the theft"


def test_what_could_not_be_looked_up_is_what_the_entry_says() -> None:
    silent = Listed("CN=leaf", (), "no configured list is its issuer's")
    text = "whether the certificate of CN=leaf is revoked could not be seen: no configured list is its issuer's"
    assert said(on(silent), ASKS) == [NotKnown(text)]
    assert said(on(silent), replace(ASKS, allow_unlisted=True)) == [by("a", on(silent))]
    assert isinstance(said(WORDS, ASKS)[0], NotKnown), "nobody looked at all"
    over = on(silent, valid=LONG_AGO.valid)
    assert said(over, ASKS) == [Reason.CERTIFICATE_EXPIRED], "what is certain is said first"
    revoked = Listed("CN=leaf", (Listing(NOON - HOUR, NOON + HOUR, NOON - HOUR),))
    assert said(on(revoked), replace(ASKS, allow_unlisted=True)) == [Reason.CERTIFICATE_REVOKED]
