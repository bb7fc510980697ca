from datetime import UTC, datetime, timedelta

import pytest

from proxy.cli.typed import span_of, time_of
from proxy.oci.faults import Invalid
from tests.worlds.memory import NOON


def test_spans() -> None:
    assert [span_of("--for", text) for text in ("90s", "2h", "7d", "1w")] == [
        timedelta(seconds=90), timedelta(hours=2), timedelta(days=7), timedelta(days=7),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["h", "2", "-2h", "2 h", "2y", "1.5h", "99999999h", "\u0662h"])
def test_what_is_no_span_is_named_with_its_option(text: str) -> None:
    with pytest.raises(Invalid, match=r"--for .*: not a duration"):
        span_of("--for", text)


def test_moments_are_from_now_and_pasts_are_before_it() -> None:
    assert time_of("--until", "2h", "moment", NOON) == NOON + timedelta(hours=2)
    assert time_of("--since", "2h", "since", NOON) == NOON - timedelta(hours=2)
    for reads in ("moment", "since"):
        assert time_of("--at", "2027-01-31", reads, NOON) == datetime(2027, 1, 31, tzinfo=UTC)
        assert time_of("--at", "2027-01-31T18:00:00+01:00", reads, NOON) == datetime(2027, 1, 31, 17, tzinfo=UTC)
        with pytest.raises(Invalid, match="--at tomorrow: not a time"):
            time_of("--at", "tomorrow", reads, NOON)


@pytest.mark.parametrize(
    "text", ["2h", "2027-01-31", "2027-01-31T18:00", "yesterday", "2027", "0001-01-01T00:00+23:59"]
)
def test_a_time_that_must_not_be_guessed_has_its_zone(text: str) -> None:
    assert time_of("--since", "2027-01-31T18:00:00+01:00", "time", NOON) == datetime(2027, 1, 31, 17, tzinfo=UTC)
    with pytest.raises(Invalid, match=r"--since .*; write a time with its zone, such as 2027-01-31T08:00:00Z"):
        time_of("--since", text, "time", NOON)
