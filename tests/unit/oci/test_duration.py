from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.oci.duration import LONGEST, parse_span, span_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("12h", 43200), ("14d", 1209600), ("2w", 1209600)]
)
def test_a_span_is_read_in_its_unit(text: str, seconds: int) -> None:
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "d", "14", "0d", "-1d", "1.5d", "14 d", "14D", "1y", "9" * 12 + "s", "600w", "\u0661d"]
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="such as 12h or 14d"):
        parse_span(text)


@pytest.mark.parametrize("text", ["45s", "90m", "12h", "14d", "3653d"])
def test_it_is_written_as_it_is_read(text: str) -> None:
    assert span_text(parse_span(text)) == text


def test_weeks_are_days_and_ten_years_are_the_most() -> None:
    assert span_text(parse_span("2w")) == "14d"
    assert parse_span("3653d") == LONGEST
