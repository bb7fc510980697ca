from proxy.oci.reference import Repository
from proxy.policies.rules import RulesInForce
from proxy.trust.policy import Policy, PolicySet


def test_what_was_put_in_force_last_is_in_force() -> None:
    rules = RulesInForce(PolicySet("one", ()))
    assert rules.current().revision == "one"
    before = rules.current()
    rules.replace(PolicySet("two", (Policy(("**",)),)))
    assert rules.current().revision == "two"
    assert rules.current().for_(Repository("a")) is not None
    assert before.for_(Repository("a")) is None
