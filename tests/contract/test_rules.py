"""Rules: the policies in force at this moment, whole, under a revision of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.oci.reference import Repository
from proxy.policies.in_force import RulesInForce
from proxy.registry.ports.overrides import Rules as Port
from proxy.trust.policy import Policy, PolicySet
from tests.worlds.conversation import Rules

Put = Callable[[PolicySet], None]
OPEN = Policy(("team/**",), contact="#team")
CLOSED = Policy(("prod/**",))
APP = Repository("team/app")


@pytest.fixture(params=["world", "real"])
def rules(request: pytest.FixtureRequest) -> tuple[Port, Put]:
    """Rules that begin with OPEN, and what puts others in force."""
    if request.param == "real":
        real = RulesInForce(PolicySet("one", (OPEN,)))
        return real, real.replace
    world = Rules(OPEN)
    return world, lambda policies: world.set(*policies.policies)


def test_the_same_policies_are_in_force_until_others_are(rules: tuple[Port, Put]) -> None:
    port, put = rules
    assert port.current() == port.current()
    assert port.current().policies == (OPEN,)
    put(PolicySet("two", (CLOSED,)))
    assert port.current().policies == (CLOSED,)
    assert port.current().for_(APP) is None


def test_other_policies_are_another_revision_and_the_old_ones_are_as_they_were(rules: tuple[Port, Put]) -> None:
    port, put = rules
    before = port.current()
    put(PolicySet("two", (OPEN, CLOSED)))
    after = port.current()
    assert before.revision != after.revision
    assert before.policies == (OPEN,)
    assert before.for_(Repository("prod/app")) is None
    assert after.for_(Repository("prod/app")) == CLOSED
    assert after.for_(APP) == OPEN


def test_no_policies_close_every_repository(rules: tuple[Port, Put]) -> None:
    port, put = rules
    put(PolicySet("none", ()))
    assert port.current().for_(APP) is None
