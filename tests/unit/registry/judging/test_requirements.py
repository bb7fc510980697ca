"""The outcome of each requirement holds as long as what it depends on, whatever else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.oci.operation import PullManifest
from proxy.oci.reference import digest_of, parse_reference
from proxy.registry.judging.judge import Judged, judge
from proxy.registry.request import Request
from proxy.trust import signatures
from proxy.trust.decision import Decision
from proxy.trust.evidence import Evidence
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import Basis, Check, DecisionContext, Mode, Outcome, Requirement
from tests.worlds.conversation import ANYBODY, REPO, SIGN, World, signed_by, world
from tests.worlds.images import image, index
from tests.worlds.memory import NOON
from tests.worlds.orders import denial, exception

APP = image("app")
ELSEWHERE = digest_of(b"another image")


class Scans:
    """A requirement that depends on the denials in force and nothing else, and counts how often it is judged."""

    def __init__(self, mode: Mode = "enforce") -> None:
        self.judged = 0
        self.found = False
        self.row = Requirement("vulnerabilities", self._judge, mode, stamp=self._stamp)

    def _judge(self, question: Question, evidence: Evidence, at: DecisionContext) -> tuple[Check, ...]:
        self.judged += 1
        outcome = Outcome.FAILED if self.found else Outcome.PASSED
        return (Check("no known vulnerability", outcome, "said", Reason.TOO_LARGE if self.found else None),)

    def _stamp(self, basis: Basis) -> int:
        return basis.overrides


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Evidence]:
    """The evidence that signatures were judged on, each time."""
    seen: list[Evidence] = []
    judged = signatures._checks

    def checks(pull: object, question: Question, evidence: Evidence, at: DecisionContext) -> tuple[Check, ...]:
        seen.append(evidence)
        return judged(pull, question, evidence, at)  # type: ignore[arg-type]

    monkeypatch.setattr(signatures, "_checks", checks)
    return seen


async def decided(w: World, reference: str = "v1") -> Decision:
    found = await judge(PullManifest(REPO, parse_reference(reference)), Request(ANYBODY, "r"), w.ports)
    assert isinstance(found, Judged)
    return found.decision


async def scene(*beside: Requirement) -> World:
    w = await world(replace(SIGN, beside=beside))
    await w.push(APP, "team/app", "v1")
    return w


async def test_only_the_requirement_whose_stamp_changed_is_judged_again(counted: list[Evidence]) -> None:
    scans = Scans()
    w = await scene(scans.row)
    assert (await decided(w)).allowed
    signed = len(counted)
    assert (signed > 0, scans.judged) == (True, 1)
    await w.store.overrides.deny(denial(ELSEWHERE))
    assert (await decided(w)).allowed
    assert (len(counted), scans.judged) == (signed, 2), "a denial elsewhere signs nothing"
    await w.store.keybook.set_state(fingerprint(w.store.keybook.ring().ours[0].spki), KeyState.TRUSTED, NOON)
    assert (await decided(w)).allowed
    assert len(counted) > signed
    assert scans.judged == 2, "a key finds no vulnerability"


async def test_what_one_finds_is_put_together_with_what_the_other_said_before(counted: list[Evidence]) -> None:
    scans = Scans()
    w = await scene(scans.row)
    assert (await decided(w)).allowed
    signed, scans.found = len(counted), True
    await w.store.overrides.deny(denial(ELSEWHERE))
    decision = await decided(w)
    assert (decision.allowed, decision.reason, len(counted)) == (False, Reason.TOO_LARGE, signed)
    assert [part.outcome for part in decision.requirements] == [Outcome.PASSED, Outcome.FAILED]
    assert decision.signatures
    assert (await decided(w)) is decision, "a blocked image is remembered as before"


async def test_a_denial_elsewhere_costs_a_warm_pull_nothing_and_one_of_the_image_holds_at_once() -> None:
    w = await scene()
    first = await decided(w)
    seen = len(w.registry.seen)
    await w.store.overrides.deny(denial(ELSEWHERE))
    again = await decided(w)
    assert again is first
    assert len(w.registry.seen) - seen <= 1
    await w.store.overrides.deny(denial(APP.digest, name="d2"))
    assert (await decided(w)).reason is Reason.DENIED_DIGEST
    await w.store.overrides.lift("d2")
    assert await decided(w) == first


async def test_a_block_is_judged_again_when_an_exception_opens() -> None:
    w = await world(replace(SIGN, pull=signed_by("partner")))
    w.put_behind(APP, "team/app", "v1")
    assert not (await decided(w)).allowed
    await w.store.overrides.keep(exception())
    opened = await decided(w)
    assert (opened.allowed, opened.reason) == (True, Reason.UNSIGNED)


async def test_what_passes_by_its_parent_does_not_outlive_a_denial_of_the_parent() -> None:
    w = await world()
    w.put_behind(APP, "team/app")
    both = index(APP)
    w.put_behind(both, "team/app")
    await w.push(both, "team/app", "v1")
    w.store.ledger.rows = {k: e for k, e in w.store.ledger.rows.items() if k.digest == both.digest}
    w.registry.shelf("team/app").tags.pop(f"sha256-{APP.digest[7:]}.sig", None)
    assert [c.name for c in (await decided(w, APP.digest)).checks] == ["parent"]
    await w.store.overrides.deny(denial(both.digest))
    assert (await decided(w, APP.digest)).reason is Reason.DENIED_DIGEST
    await w.store.overrides.lift("d1")
    assert (await decided(w, APP.digest)).allowed


async def test_a_removed_signature_takes_its_outcome_along(counted: list[Evidence]) -> None:
    w = await scene()
    await decided(w)
    signed = len(counted)
    w.ports.cache.forget((REPO, APP.digest))
    await w.store.overrides.deny(denial(ELSEWHERE))
    await decided(w)
    assert len(counted) > signed


@pytest.mark.parametrize("mode", ["observe", "warn"])
async def test_observed_is_recorded_and_warned_is_told(mode: Mode) -> None:
    scans = Scans(mode)
    scans.found = True
    w = await scene(scans.row)
    response = await w.pull("team/app", "v1")
    assert response.status == 200
    assert (response.warning is not None) is (mode == "warn")
    assert (await decided(w)).mode == mode
