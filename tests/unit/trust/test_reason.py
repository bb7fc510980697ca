"""A reason is one row of one table, and one row of the page made of it."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import pytest

from proxy.trust.reason import Reason, fix_for

ROOT = Path(__file__).parents[3]
TABLE = "proxy/trust/reason.py"


@pytest.mark.parametrize("reason", list(Reason))
def test_a_row_says_what_and_the_next_step_for_both(reason: Reason) -> None:
    assert 0 < len(reason.row.what) <= 80
    assert reason.row.says
    for pushing in (False, True):
        text = fix_for(reason, "#help", "registry.example", pushing=pushing)
        assert text
        assert len(text) <= 120
        assert "{" not in text
        assert text.isascii()
        assert text.isprintable()


def test_backquotes_come_in_pairs() -> None:
    assert all(part.count("`") % 2 == 0 for reason in Reason for part in vars(reason.row.lesson).values())


def test_the_contact_and_the_host_are_named() -> None:
    assert fix_for(Reason.UNSIGNED, "#help", "r.example") == "ask #help"
    assert fix_for(Reason.UNSIGNED, "#help", "r.example", pushing=True) == "push it again through r.example"
    assert fix_for(Reason.UNSIGNED, None, "r.example") == "ask the operators of this registry"
    assert fix_for(None, None, "r.example").startswith("retry")


def test_a_contact_with_braces_is_only_text() -> None:
    assert fix_for(Reason.UNSIGNED, "{host}", "r.example") == "ask {host}"


def test_a_reason_is_its_code() -> None:
    assert Reason("unsigned") is Reason.UNSIGNED
    assert (str(Reason.UNSIGNED), Reason.UNSIGNED.value, f"{Reason.UNSIGNED:<9}|") == (
        "unsigned",
        "unsigned",
        "unsigned |",
    )
    assert pickle.loads(pickle.dumps(Reason.UNSIGNED)) is copy.deepcopy(Reason.UNSIGNED) is Reason.UNSIGNED  # noqa: S301


def test_the_most_telling_reason_comes_first() -> None:
    told = [reason for reason in Reason if reason.row.says != reason.value]
    assert sorted(reason.row.severity for reason in told) == list(range(1, len(told) + 1))
    assert min(told, key=lambda reason: reason.row.severity) is Reason.KEY_COMPROMISED


def test_a_new_reason_touches_its_row_and_the_page() -> None:
    """No other table lists reasons: only one that must name each would have to be changed with every new one."""
    tables = []
    for path in sorted((ROOT / "proxy").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                keys = [key for key in node.keys if isinstance(key, ast.Attribute)]
                named = [key.attr for key in keys if isinstance(key.value, ast.Name) and key.value.id == "Reason"]
                tables += [str(path.relative_to(ROOT))] if len(named) > 1 else []
    assert not tables, "put it into the row"
    pages = {path.name: path.read_text() for path in (ROOT / "docs").rglob("*.md")}
    for reason in Reason:
        assert [name for name, text in pages.items() if f"| `{reason}` |" in text] == ["reasons.md"]
    assert (ROOT / TABLE).read_text().count(" = _row(") == len(Reason)
