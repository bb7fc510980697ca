from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.formats.chain import RULES, problems
from tests.worlds.certificates import BEGIN, END, LEAF, Holder, chain_of, rsa_key, trio
from tests.worlds.softkey import PrivateKey

CHAIN = chain_of(*trio())


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1()), rsa_key(2048), None]
)
def test_a_proper_chain_breaks_no_rule(key: PrivateKey | None) -> None:
    assert problems(chain_of(*trio(key)), BEGIN) == ()
    assert problems(chain_of(trio(key)[0]), END) == (), "a self-signed leaf is a chain of its own"


def test_dates_are_looked_at_only_when_asked_and_both_ends_count() -> None:
    assert problems(CHAIN) == ()
    assert problems(CHAIN, END) == ()
    early, late = problems(CHAIN, BEGIN - timedelta(seconds=1)), problems(CHAIN, END + timedelta(seconds=1))
    assert {p.rule for p in early} == {"not-yet-valid"}
    assert [p.rule for p in late] == ["expired", "expired"], "the root lives longer"
    assert str(late[0]).startswith("leaf (CN=images,O=Example")
    assert "expired at 2027-01-01T00:00:00Z; have it issued anew" in late[0].text


def test_a_chain_has_one_to_eight_certificates() -> None:
    assert [p.rule for p in problems(())] == ["length"]
    assert [p.rule for p in problems(CHAIN[2:] * 9)] == ["length"]


def test_what_is_no_certificate_is_said_so() -> None:
    assert [p.rule for p in problems((b"junk",))] == ["encoding"]


def test_a_problem_names_the_certificate_what_is_wrong_and_how_to_mend_it() -> None:
    leaf, _, root = trio()
    (problem,) = problems(chain_of(leaf, root)[:1])
    assert problem.rule == "no-root"
    assert problem.text.endswith("is the last one and not self-signed; add the certificates up to the root CA's own")


def test_names_in_certificates_are_shown_safely() -> None:
    (problem,) = problems(chain_of(Holder("a\x1b[31m\u202eb", LEAF, rsa_key(1024))))
    assert problem.rule == "weak-key"
    assert problem.text.isascii()
    assert problem.text.isprintable()


def test_every_rule_has_a_name_of_its_own_and_says_how_to_mend_it() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.says and rule.mend for rule in RULES)


def test_a_leaf_of_another_size_of_rsa_has_no_signature_algorithm() -> None:
    leaf, middle, root = trio()
    assert [p.rule for p in problems(chain_of(replace(leaf, key=rsa_key(2056)), middle, root))] == ["weak-key"]
    assert problems(chain_of(leaf, middle, replace(root, key=rsa_key(2056)))) == ()
