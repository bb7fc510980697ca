from dataclasses import replace

import pytest

from proxy.journal.port import Pulled
from proxy.oci.reference import Tag
from proxy.policies.impact import Effect, Judgement, PullVerdict, Verdict, counted, verdict_of
from proxy.trust.reason import Reason
from proxy.trust.requirement import Outcome
from tests.worlds.memory import NOON
from tests.worlds.orders import exception
from tests.worlds.stored import APP, decision, digest

PULLED = Pulled(APP, Tag("1"), digest("image"), True, 3, NOON, "d1")
ALLOWED, BLOCKED, UNKNOWN, GONE = (Verdict(standing) for standing in PullVerdict)


@pytest.mark.parametrize(
    ("before", "after", "served", "effect"),
    [
        (ALLOWED, ALLOWED, True, Effect.UNCHANGED),
        (BLOCKED, BLOCKED, True, Effect.UNCHANGED),
        (ALLOWED, BLOCKED, False, Effect.NEWLY_BLOCKED),
        (BLOCKED, ALLOWED, True, Effect.NEWLY_ALLOWED),
        (UNKNOWN, BLOCKED, True, Effect.NEWLY_BLOCKED),
        (UNKNOWN, BLOCKED, False, Effect.UNCHANGED),
        (UNKNOWN, ALLOWED, False, Effect.NEWLY_ALLOWED),
        (ALLOWED, UNKNOWN, True, Effect.UNKNOWN),
        (UNKNOWN, UNKNOWN, True, Effect.UNKNOWN),
        (BLOCKED, UNKNOWN, True, Effect.UNKNOWN),
        (GONE, GONE, True, Effect.GONE),
        (ALLOWED, GONE, True, Effect.GONE),
    ],
)
def test_effects(before: Verdict, after: Verdict, served: bool, effect: Effect) -> None:
    assert Judgement(replace(PULLED, served=served), before, after).effect is effect


def test_what_could_not_be_seen_is_never_fine_and_a_warning_is_served() -> None:
    assert verdict_of(decision("a")).standing is PullVerdict.ALLOWED
    assert verdict_of(decision("b", Reason.UNSIGNED)).standing is PullVerdict.BLOCKED
    blind = replace(decision("c", Reason.NOT_VERIFIABLE), outcome=Outcome.INCONCLUSIVE)
    assert verdict_of(blind).standing is PullVerdict.UNKNOWN
    excepted = replace(decision("e", Reason.UNSIGNED), granted=exception().grants())
    assert excepted.allowed
    assert verdict_of(excepted).standing is PullVerdict.BLOCKED
    warned = verdict_of(decision("d", Reason.UNSIGNED, "warn"))
    assert (warned.standing, warned.reason) == (PullVerdict.ALLOWED, "unsigned")


def test_every_effect_is_counted() -> None:
    counts = counted([Judgement(PULLED, ALLOWED, BLOCKED)] * 2)
    assert counts[Effect.NEWLY_BLOCKED] == 2
    assert set(counts) == set(Effect)
