from dataclasses import replace

from proxy.tokens.schemes import Waiting, chain_problems, schemes, waiting
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.policy import Policy, PushRules
from tests.worlds.memory import SoftSigner

BARE = SoftSigner().create("release")
OWN = fingerprint(BARE.spki)[:12]
BESIDE = Policy(("a/**",), PushRules(("release",), ("cosign-simple", "notation-jws")))
ALONE = Policy(("b/**",), PushRules(("release",), ("notation-cose",)))
PLAIN = Policy(("**",), PushRules(("release", "other")))


def test_a_second_scheme_is_needed_where_a_policy_writes_a_notary_format_with_that_profile() -> None:
    assert schemes("release", [PLAIN, BESIDE]) == ("pkix", "jose")
    assert schemes("other", [PLAIN, BESIDE]) == ("pkix",)
    assert schemes("release", [PLAIN]) == ("pkix",)


def test_a_key_without_certificates_waits_for_them_where_some_format_wants_them() -> None:
    assert list(waiting([PLAIN, BESIDE], [BARE])) == [Waiting("release", ("notation-jws",), False, OWN)]
    assert list(waiting([BESIDE, ALONE], [BARE])) == [Waiting("release", ("notation-jws", "notation-cose"), True, OWN)]
    assert list(waiting([PLAIN], [BARE])) == []
    assert list(waiting([BESIDE], [replace(BARE, chain=(b"leaf",))])) == []
    assert list(waiting([BESIDE], [replace(BARE, state=KeyState.TRUSTED)])) == []


def test_what_status_says_of_it() -> None:
    (beside,), (alone,) = chain_problems([BESIDE], [BARE]), chain_problems([ALONE], [BARE])
    assert beside.what == "the active key of release has no certificate chain, so notation-jws is not written"
    assert beside.stops == "nothing; other formats go on"
    assert alone.stops == "pushes under policies that write nothing else"
    assert f"countersign keys chain set {OWN} FILE --reason TEXT" in beside.next
