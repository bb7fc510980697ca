"""ATTACK 17, 16, 6: a revoked or expired signer, forged lists and witnesses nobody named, through the decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from proxy.formats.format import Signing
from proxy.formats.identity import parse_subject
from proxy.formats.notation import NOTATION_COSE, NOTATION_JWS, Notation
from proxy.formats.timestamp import token_of
from proxy.oci.reference import digest_of, parse_repository, parse_tag
from proxy.trust.authority import Authority
from proxy.trust.decision import Decision, decide
from proxy.trust.evidence import Evidence, Source, SourceResult
from proxy.trust.keys import KeyRing
from proxy.trust.policy import Clause, Policy, PullRules
from proxy.trust.question import Question
from proxy.trust.reason import Reason
from proxy.trust.requirement import DecisionContext, Outcome
from tests.vectors.stamps import SIGNATURE, load
from tests.worlds.certificates import BEGIN, END, Holder, authority, chain_of, trio
from tests.worlds.revocations import Entry, clean, crl
from tests.worlds.softkey import about, layer_of, soft_key

IMAGE = digest_of(b"image")
NOW = BEGIN + timedelta(days=1)
KEY = soft_key()
HOLDERS = trio(KEY.private)
CHAIN = chain_of(*HOLDERS)
POLICY = Policy(("**",), pull=PullRules(require=(Clause(("vendor",)),)))
FORMS = pytest.mark.parametrize("form", [NOTATION_JWS, NOTATION_COSE], ids=lambda form: form.name)


def judged(form: Notation, vendor: Authority, now: datetime = NOW, timestamp: bytes = b"") -> Decision:
    by = Signing(KEY.spki, CHAIN)
    draft = form.draft(about(IMAGE), "r.example/app", {}, by, NOW)
    layer = layer_of(form.blob(draft.message, KEY.sign(draft.message, "jose"), replace(by, timestamp=timestamp)))
    findings = form.examine(layer, IMAGE, [], [vendor])
    evidence = Evidence(IMAGE, (SourceResult(Source.REFERRERS, findings),))
    setting = DecisionContext("id", now, ("r.example",), "p", KeyRing("k", authorities=(vendor,)))
    question = Question(parse_repository("app"), parse_tag("1"))
    return decide(question, POLICY, (IMAGE, "m"), evidence, setting)


def vendor(*lists: bytes, allow: bool = False, tsa: tuple[bytes, ...] = ()) -> Authority:
    whom = (parse_subject("O=Example"),)
    return Authority("vendor", frozenset(CHAIN[-1:]), whom, frozenset(tsa), ("ca.crl",), allow, lists)


@FORMS
@pytest.mark.parametrize("at", [0, 1], ids=["leaf", "intermediate"])
@pytest.mark.parametrize("allow", [False, True])
def test_a_revoked_certificate_signs_nothing_that_counts(form: Notation, at: int, allow: bool) -> None:
    lists = list(clean(HOLDERS))
    lists[at] = crl(HOLDERS[at + 1], Entry(CHAIN[at]))
    decision = judged(form, vendor(*lists, allow=allow))
    assert (decision.outcome, decision.reason) == (Outcome.FAILED, Reason.CERTIFICATE_REVOKED)
    assert judged(form, vendor(*clean(HOLDERS))).outcome is Outcome.PASSED


@FORMS
@pytest.mark.parametrize("case", ["none", "forged", "old", "leaf only"])
def test_a_list_that_does_not_speak_is_no_clean_one(form: Notation, case: str) -> None:
    forger = Holder(HOLDERS[1].name, authority())
    lists: dict[str, tuple[bytes, ...]] = {
        "none": (),
        "forged": (crl(forger), crl(HOLDERS[2])),
        "old": clean(HOLDERS, BEGIN - timedelta(days=30)),
        "leaf only": (crl(HOLDERS[1]),),
    }
    decision = judged(form, vendor(*lists[case]))
    assert (decision.outcome, decision.reason) == (Outcome.INCONCLUSIVE, Reason.NOT_VERIFIABLE)
    assert "could not be seen" in decision.checks[0].detail
    assert judged(form, vendor(*lists[case], allow=True)).outcome is Outcome.PASSED


@FORMS
def test_another_signatures_timestamp_does_not_date_this_one(form: Notation) -> None:
    """A genuine token of a trusted authority, but over other bytes."""
    stamped = load("openssl")
    token = token_of(stamped.reply, stamped.request, SIGNATURE, stamped.roots)
    trusting = replace(vendor(tsa=stamped.roots), crl=())
    for timestamp in (b"", b"junk", token):
        decision = judged(form, trusting, END + timedelta(days=1), timestamp)
        assert (decision.outcome, decision.reason) == (Outcome.FAILED, Reason.CERTIFICATE_EXPIRED)
        assert judged(form, trusting, NOW, timestamp).outcome is Outcome.PASSED, "it takes nothing off either"
