"""Letters of every script are shown; what a terminal obeys, or nobody sees, is shown as an escape."""

from __future__ import annotations

import io
import sys

import pytest

from proxy.cli.ask import lines_out, table
from proxy.oci.faults import inert, quoted, visible


@pytest.mark.parametrize(
    "text",
    [
        "M\u00fcller",
        "\u00fcn\u00efc\u00f6d\u00e9",
        "\u5f20\u4f1f",
        "\u0645\u0631\u062d\u0628\u0627",
        "na\u0308he",
        "\U0001f511 key",
    ],
)
def test_umlauts_were_printed_as_question_marks(text: str) -> None:
    assert visible(text, 80) == text
    assert quoted(text) == f"'{text}'"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\nb\\tc"), ("\u202egnp", "\\u202egnp"), ("a\u200bb", "a\\u200bb"),
        ("\ufeffa", "\\ufeffa"), ("a\u2066b", "a\\u2066b"), ("\udcff", "\\udcff"), ("\u3164", "\\u3164"),
        ("a\ufe0f", "a\\ufe0f"), ("\x9b", "\\x9b"), ("\u2028", "\\u2028"), ("\U000e0041", "\\U000e0041"),
    ],
)  # fmt: skip
def test_what_is_not_seen_is_escaped(text: str, seen: str) -> None:
    assert visible(text, 80) == inert(text) == seen
    assert visible(seen, 80) == seen, "what is inert stays as it is"


def test_a_long_text_is_cut_and_nothing_of_the_rest_is_printed() -> None:
    assert visible("\u00fc" * 10 + "\x1b", 10) == "\u00fc" * 7 + "..."
    assert visible("\x1b" * 30, 10).startswith("\\x1b\\x1")
    assert len(visible("\x1b" * 30, 10)) == 10


def test_columns_are_below_each_other_whatever_the_letters() -> None:
    lines = table([("NAME", "X"), ("M\u00fcller", "x"), ("na\u0308he", "x"), ("\u5f20\u4f1f", "x"), ("a\x1b", "x")])
    assert lines == ["NAME    X", "M\u00fcller  x", "na\u0308he    x", "\u5f20\u4f1f    x", "a\\x1b   x"]


def test_a_terminal_that_lacks_a_letter_gets_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_out = io.BytesIO()
    stream = io.TextIOWrapper(bytes_out, encoding="ascii", errors="backslashreplace")  # as `run` sets it
    monkeypatch.setattr(sys, "stdout", stream)
    lines_out(["M\u00fcller"])
    stream.flush()
    assert bytes_out.getvalue() == b"M\\xfcller\n"
