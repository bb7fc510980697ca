"""What a row says: a sentence for each kind, whatever the row lacks."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.journal.event import EventKind
from proxy.journal.said import SENTENCES, said


def row(kind: EventKind, reason: str = "", **detail: Any) -> dict[str, Any]:
    return {"kind": kind.value, "reason": reason, "policy_revision": "", "detail": detail}


def test_every_kind_has_a_sentence() -> None:
    assert set(SENTENCES) == set(EventKind)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (row(EventKind.CONFIG_REFUSED, why="line 3: no such setting"), "reload refused; line 3: no such setting"),
        (
            row(EventKind.KEY_STATE, key="ab" * 32, profile="release", **{"from": "active", "to": "trusted"}),
            "key abababababab of release; active -> trusted",
        ),
        (row(EventKind.PULL_DENIED, "unsigned"), "blocked; reason: unsigned"),
        (row(EventKind.PUSH_ACCEPTED), "accepted"),
        (
            row(EventKind.ADMIN_CALLED, call="POST /x", given={"target": "team/app", "reason": "bad"}),
            "POST /x; target team/app, reason bad",
        ),
        (row(EventKind.SIGNATURE_LOST, lost=["sha256:1", "sha256:2"]),
         "the registry lost a signature, and it could not be put back; sha256:1, sha256:2"),
    ],
)  # fmt: skip
def test_a_row_says_what_is_in_it(told: dict[str, Any], sentence: str) -> None:
    assert said(told) == sentence


def test_a_row_of_a_newer_server_says_nothing() -> None:
    assert said({"kind": "new.kind", "reason": "", "policy_revision": "", "detail": {}}) == ""
