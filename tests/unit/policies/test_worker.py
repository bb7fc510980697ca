"""What is asked about texts of policies: the answers, and the process that gives them as it is by itself."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hsm.frames import framed, frames
from proxy.config import policy_checks
from proxy.policies.worker import FINDINGS, answer
from proxy.trust.pattern import COMPARED, overlap

NAMED = {"path": "c.yaml", "keys": {"release": False, "attestation": True}, "trust": {"one": "A", "two": "A"}}
AROUND = {
    "keys": {"release": {"signs": True, "certified": True, "verifies": True}},
    "trust": ["one"],
    "now": "2026-11-30T00:00:00+00:00",
    "names_proven": True,
    "base": [],
    "known": [],
}
TEXT = "policies:\n  - repositories: [a]\n    contact: us\n    push: {sign_with: [release]}\n"
GOOD = TEXT + "    pull: {require: [{signed_by: [release]}]}\n"


def request(do: str, text: str = GOOD, **more: Any) -> dict[str, Any]:
    asked = {"do": do, "text": text, "name": "p", "signers": NAMED, "segments": 3000, "around": AROUND}
    return {**asked, "seconds": 5, **more}


def test_a_text_comes_to_policies_or_is_refused_line_by_line() -> None:
    read = answer(request("read"))
    assert json.loads(read["canonical"])[0]["repositories"] == json.loads(read["written"])[0]["repositories"] == ["a"]
    refused = answer(request("read", TEXT.replace("release", "nobody").replace("[a]", "[A]")))
    assert [line.partition(" ")[0] for line in refused["refused"]] == ["p:2:20:"]


def test_two_names_of_one_signer_are_one() -> None:
    two = GOOD.replace("{signed_by: [release]}", "{signed_by: [one, two], at_least: 2}")
    (said,) = answer(request("read", two))["refused"]
    assert "found 2; allowed: 1 to 1, the number of different keys in signed_by" in said


def test_two_are_compared_as_they_are_written() -> None:
    old, new = answer(request("read")), answer(request("read", GOOD.replace("contact: us", "contact: them")))
    compared = answer({"do": "compare", "old": old["written"], "new": new["written"], "known": []})
    assert compared["lines"] == ["changed a", '  - contact: "us"', '  + contact: "them"']
    assert compared["changes"][0]["settings"] == ({"setting": "contact", "old": "us", "new": "them"},)


def test_lint_tells_where_in_the_text_and_what_is_not_in_it() -> None:
    assert answer(request("lint"))["findings"] == [
        {"level": "note", "code": "trust-not-used", "where": "trust.one", "line": None,
         "text": "one is in `trust` and no policy names it: its signatures count nowhere"}
    ]  # fmt: skip
    (found, *_) = answer(request("lint", GOOD.replace("[a]", "[-a]")))["findings"]
    assert (found["code"], found["line"]) == ("pattern-matches-nothing", 2)
    (refused,) = answer(request("lint", GOOD.replace("[a]", "[A]")))["findings"]
    assert (refused["level"], refused["where"], refused["line"]) == ("error", "policies[0].repositories[0]", 2)


def test_repositories_that_are_left_without_a_policy_are_named_by_lint_and_by_a_comparison() -> None:
    """Before: lint said nothing where a change closed repositories."""
    known, wide = ["a", "b/c", "d"], GOOD.replace("[a]", '[a, "b/*"]')
    around = {**AROUND, "base": ["a", "b/*"], "known": known}
    (left, _) = answer(request("lint", around=around))["findings"]
    assert (left["level"], left["code"], left["where"]) == ("warning", "left-without-policy", "policies")
    assert left["text"].startswith("b/c matches no policy any more"), "d had none before either"
    assert [each["code"] for each in answer(request("lint", wide, around=around))["findings"]] == ["trust-not-used"]
    written = [answer(request("read", text))["written"] for text in (wide, GOOD)]
    compared = {"do": "compare", "old": written[0], "new": written[1]}
    assert answer({**compared, "known": known})["left"] == ("b/c",)
    assert answer({**compared, "new": written[0], "known": known})["left"] == ()
    assert answer({**compared, "known": known * COMPARED})["left"] is None, "too many to compare is not none"


def test_thousands_of_findings_are_counted() -> None:
    names = ",".join(f"c{n}*" for n in range(FINDINGS + 50))
    text = GOOD.replace("{sign_with: [release]}", f'{{sign_with: [release], allow: ["*",{names}]}}')
    found = answer(request("lint", text))["findings"]
    assert len(found) == FINDINGS + 1
    assert found[-1]["text"].endswith("more findings; fix these first")


LARGEST: dict[str, Callable[[int], str]] = {
    "a team a policy": lambda n: f"team{n:04}",
    "all beginning alike": lambda n: f"*a{n:04x}*/**",
    "different in the middle": lambda n: f"*/x{n:04}/*",
    "different at the end": lambda n: f"**/x{n:04}",
    "fifty ways to begin and to end": lambda n: f"a{n // 50:02}*b{n % 50:02}",
}


@pytest.mark.parametrize("case", LARGEST)
def test_the_largest_texts_are_read_or_refused_without_comparing_each_with_all(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def counted(one: str, other: str) -> bool:
        compared.append(one)
        return overlap(one, other)

    monkeypatch.setattr(policy_checks, "overlap", counted)
    each = [LARGEST[case](n) for n in range(3000 // (LARGEST[case](0).count("/") + 1))]
    reply = answer(request("read", "policies:\n" + "".join(f'  - {{repositories: ["{one}"]}}\n' for one in each)))
    assert "canonical" in reply or "patterns that are alike" in reply["refused"][0]
    assert len(compared) <= COMPARED / 2


def asked(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the process answers before its pipe ends, as JSON values."""
    pipe = b"".join(framed(json.dumps(each).encode()) for each in requests)
    command = [sys.executable, "-P", "-m", "proxy.policies.worker", "0", str(2**30)]
    done = subprocess.run(command, input=pipe, capture_output=True, timeout=60, check=False)
    return [json.loads(body) for body in frames(io.BytesIO(done.stdout))]


def test_the_process_answers_each_frame_and_ends_with_its_pipe() -> None:
    replies = asked(request("read"), request("lint"))
    assert [sorted(reply) for reply in replies] == [["canonical", "written"], ["findings"]]
