from __future__ import annotations

import pytest

from proxy.trust.fixes import FIXES, fix_for
from proxy.trust.reason import Reason


def test_every_reason_has_a_row() -> None:
    assert set(FIXES) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_row_says_what_and_the_next_step_for_both(reason: Reason) -> None:
    row = FIXES[reason]
    assert 0 < len(row.what) <= 80
    for pushing in (False, True):
        text = fix_for(reason, "#help", "registry.example", pushing=pushing)
        assert text
        assert len(text) <= 120
        assert "{" not in text
        assert text.isascii()
        assert text.isprintable()


def test_the_contact_and_the_host_are_named() -> None:
    assert fix_for(Reason.UNSIGNED, "#help", "r.example") == "ask #help"
    assert fix_for(Reason.UNSIGNED, "#help", "r.example", pushing=True) == "push it again through r.example"
    assert fix_for(Reason.UNSIGNED, None, "r.example") == "ask the operators of this registry"
    assert fix_for(None, None, "r.example").startswith("retry")


def test_a_contact_with_braces_is_only_text() -> None:
    assert fix_for(Reason.UNSIGNED, "{host}", "r.example") == "ask {host}"
