"""What the adapters of tokens are told of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.server.token_plans import tokens_plan
from proxy.tokens.plan import ProfilePlan, TokenPlan
from tests.unit.config.test_settings import SIGNING, parse


def token(text: str, folder: Path) -> TokenPlan:
    return tokens_plan(parse(text, str(folder))).tokens["hsm"]


def test_a_token_is_planned_alike_until_something_of_it_changes(tmp_path: Path) -> None:
    assert token(SIGNING, tmp_path) == token(SIGNING, tmp_path)
    for new in ("label: test,", "label: prod, sessions: 3,", "label: prod, environment: {A: b},"):
        assert token(SIGNING.replace("label: prod,", new), tmp_path) != token(SIGNING, tmp_path)


@pytest.mark.parametrize("source", ["{env: THE_PIN}", "{credential: pin}", "{file: another}"])
def test_a_pin_from_elsewhere_is_another_plan(source: str, tmp_path: Path) -> None:
    assert token(SIGNING.replace("{file: pin}", source), tmp_path) != token(SIGNING, tmp_path)


def test_a_pin_is_read_at_each_call_and_not_before(tmp_path: Path) -> None:
    plan = token(SIGNING, tmp_path)
    (tmp_path / "pin").write_text("first\n")
    first = plan.pin()
    (tmp_path / "pin").write_text("the second\n")
    second = plan.pin()
    assert (first.value, second.value, first.identity == second.identity) == ("first", "the second", False)
    assert "second" not in repr(plan)


def test_a_profile_says_where_its_keys_are_what_the_next_one_is_and_how_policies_use_it() -> None:
    plan = tokens_plan(parse(SIGNING.replace("release: {tokens", "release: {label: mine, tokens")))
    assert plan.on("hsm") == (
        ProfilePlan("release", ("hsm",), "mine", "ecdsa-p256", "image", ("pkix",)),
        ProfilePlan("attestation", ("hsm",), "attestation", "ecdsa-p256", "attestation", ("pkix",)),
    )
    assert plan.on("elsewhere") == ()
