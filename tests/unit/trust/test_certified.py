from dataclasses import replace
from datetime import timedelta

from proxy.trust.authority import Authority
from proxy.trust.certified import certified_as_json, certified_from_json, has_expired, vouched_for
from proxy.trust.evidence import Certified, Verified
from proxy.trust.reason import Reason
from tests.worlds.memory import NOON

HOUR = timedelta(hours=1)
WORDS = Certified(("ca",), (b"leaf", b"root"), (NOON - HOUR, NOON + HOUR), NOON)
CA = Authority("ca", frozenset({b"root"}), ())
OTHER = Authority("other", frozenset({b"another root"}), ())


def by(key: str, certified: Certified | None = WORDS) -> Verified:
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
    assert counted(by("a", replace(long_ago, proven_at=NOON - 8 * HOUR))) == [CA.fingerprint]


def test_a_signature_counts_until_the_moment_its_signer_named() -> None:
    until = by("a", replace(WORDS, expires=NOON + HOUR, proven_at=NOON))
    assert not has_expired(until, NOON)
    assert has_expired(until, NOON + HOUR)
    assert list(vouched_for([until], [CA], (), NOON + HOUR)) == []
    assert not has_expired(by("a"), NOON)
    assert not has_expired(by("a", None), NOON)


def test_what_is_kept_with_a_decision_comes_back_the_same() -> None:
    bare = replace(WORDS, chain=())
    for kept in (bare, replace(bare, expires=NOON, proven_at=NOON)):
        assert certified_from_json(certified_as_json(kept)) == kept
    assert certified_from_json(None) is None
