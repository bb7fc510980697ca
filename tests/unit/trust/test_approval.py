"""Two people: who counts as one, and a request is decided once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.trust.admin_token import AdminToken
from proxy.trust.approval import Approval, ApprovalState, Person, decided, ended, one_person
from proxy.trust.roles import Role
from tests.worlds.memory import NOON

ERIKA, MAX = Person("erika", "admin-token:a", "a"), Person("max", "admin-token:b", "b")
REQUEST = Approval(
    "0" * 16, "rotate_key", {}, "{}", ("do it",), ERIKA, (Role.KEY_ADMIN,), "r", NOON, NOON + timedelta(days=1)
)


def token(name: str, by: str) -> AdminToken:
    return AdminToken(name[:1] * 12, name, (Role.KEY_ADMIN,), "", NOON, NOON, by)


@pytest.mark.parametrize(
    ("one", "other", "makers", "why"),
    [
        ("erika", "max", {}, None),
        ("erika", "max", {"erika": "operator on the host", "max": "operator on the host"}, None),
        ("erika", "max", {"erika": "bootstrap", "max": "countersign init"}, None),
        ("erika", "erika", {}, "the same"),
        ("erika", "Erika", {}, "the same"),
        ("erika", "max", {"max": "erika"}, "erika had a hand"),
        ("erika", "max", {"erika": "Max"}, "max had a hand"),
        ("erika", "max", {"max": "uwe", "uwe": "erika"}, "erika had a hand"),
        ("erika", "max", {"max": "uwe", "erika": "uwe"}, "uwe had a hand"),
        ("erika", "max", {"max": "uwe", "uwe": "max"}, None),
        ("operator on the host", "bootstrap", {}, "whoever runs the host"),
        ("operator on the host", "max", {"max": "operator on the host"}, None),
    ],
)
def test_who_counts_as_one(one: str, other: str, makers: dict[str, str], why: str | None) -> None:
    tokens = [token(name, by) for name, by in makers.items()]
    for a, b in ((one, other), (other, one)):
        found = one_person(Person(a, "x", ""), Person(b, "y", ""), tokens)
        assert found is None if why is None else why in (found or "")


def test_one_token_is_one_person_whatever_it_is_called() -> None:
    assert one_person(ERIKA, replace(MAX, token_id="a"), []) is not None


def test_a_request_is_decided_once_and_ends_once() -> None:
    agreed = decided(REQUEST, ApprovalState.APPROVED, MAX, NOON, "seen")
    assert agreed is not None
    assert (agreed.state, agreed.decided_by, agreed.note) == (ApprovalState.APPROVED, MAX, "seen")
    for state in (ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.EXPIRED):
        assert decided(agreed, state, MAX, NOON, "") is None
    done = ended(agreed, ApprovalState.DONE, "")
    assert done is not None
    assert ended(done, ApprovalState.FAILED, "") is None
    assert ended(REQUEST, ApprovalState.DONE, "") is None
