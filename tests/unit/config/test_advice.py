"""Advice fits the situation it is given in: it can be followed, and destroys nothing that may be well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.config.advice import init_again, restore_or_lose
from proxy.journal.problem import Severity
from proxy.keys.states import refusal
from proxy.server.problems.health import _failing, problems_of
from proxy.server.reload import RESTART
from proxy.server.revocation_lists import _look_at
from proxy.tokens.failing import Failing
from proxy.trust.keys import KeyState, fingerprint
from proxy.trust.reason import Reason, fix_for
from tests.unit.cli.test_commands_named import wrong
from tests.unit.server.problems.test_health import Well
from tests.worlds.memory import NOON, SoftSigner

KEY = SoftSigner().create("release")
OWN = fingerprint(KEY.spki)[:12]
PATH = Path("/etc/my registry/countersign.yaml")


@pytest.mark.parametrize(
    ("state", "to", "first"),
    [
        (KeyState.ACTIVE, KeyState.DESTROYED, f"countersign keys rotate release --on {KEY.token} --reason TEXT; then:"),
        (KeyState.ACTIVE, KeyState.RETIRED, f"countersign keys rotate release --on {KEY.token} --reason TEXT"),
        (KeyState.TRUSTED, KeyState.DESTROYED, f"countersign keys retire {OWN} --reason TEXT (blocks images"),
        (KeyState.PREPARED, KeyState.DESTROYED, f"countersign keys retire {OWN} --reason TEXT"),
        (KeyState.RETIRED, KeyState.ACTIVE, f"countersign keys rotate release --on {KEY.token} --reason TEXT"),
    ],
    ids=lambda value: value.value if isinstance(value, KeyState) else "",  # the advice names a key made for this run
)
def test_a_key_s_next_step_is_one_that_its_state_allows(state: KeyState, to: KeyState, first: str) -> None:
    said = refusal(replace(KEY, state=state), to) or ""
    assert first in said
    assert list(wrong(said)) == []


@pytest.mark.parametrize("key", [None, fingerprint(KEY.spki)], ids=["unknown", "known"])
def test_a_key_that_its_token_does_not_hold_is_restored_before_it_is_given_up(key: str | None) -> None:
    gone = Failing("release", "hsm", key, "it holds no usable key", NOON, True, fingerprint(KEY.spki))
    said = _failing(gone, "pushes", Severity.ERROR, PATH, "").next
    doctor, advice = said.split("; ", 1)
    assert doctor == "countersign doctor --config '/etc/my registry/countersign.yaml'"
    assert advice == restore_or_lose(fingerprint(KEY.spki), PATH)
    assert advice.startswith(f"restore the token that holds {OWN}; only if it is lost for good: countersign keys lost")
    assert said.endswith("--config '/etc/my registry/countersign.yaml'")
    assert list(wrong(said)) == []


def test_init_is_no_advice_for_a_file_that_it_would_not_read() -> None:
    assert init_again(PATH) == "countersign init '/etc/my registry'"
    assert "once prod.yaml is named countersign.yaml" in init_again(Path("/etc/prod.yaml"))


def test_what_needs_a_restart_is_not_sent_to_validate() -> None:
    well = cast("Any", Well())
    when = datetime(2027, 1, 1, tzinfo=UTC)
    (problem,) = problems_of(well, well, (when, f"tokens changed; that needs a {RESTART}"), PATH)
    assert problem.next == "restart countersign serve"
    (problem,) = problems_of(well, well, (when, "line 3"), PATH)
    assert problem.next.startswith("countersign config validate")


def test_a_push_to_a_denied_repository_is_not_told_to_rebuild_alone() -> None:
    assert "if its repository is, ask #help" in fix_for(Reason.DENIED_DIGEST, "#help", "r.example", pushing=True)


def test_a_missing_revocation_list_is_looked_at_where_it_comes_from() -> None:
    assert _look_at("http://ca/x.crl").startswith("curl -fsS http://ca/x.crl | openssl crl ")
    assert _look_at("/etc/a b.crl").endswith("-in '/etc/a b.crl'")
