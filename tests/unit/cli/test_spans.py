from datetime import UTC, datetime, timedelta

import pytest

from proxy.cli.options import moment_of, seconds_of
from proxy.oci.faults import ConfigError
from tests.worlds.memory import NOON


def test_spans() -> None:
    assert [seconds_of(text, "--for") for text in ("90s", "30m", "2h", "7d", "1w")] == [90, 1800, 7200, 604800, 604800]


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2 h", "2y", "1.5h", "99999999h", "\u0662h"])
def test_what_is_no_span_is_named_with_its_option(text: str) -> None:
    with pytest.raises(ConfigError, match="--for: found"):
        seconds_of(text, "--for")


def test_moments() -> None:
    assert moment_of("2h", "--until", NOON) == NOON + timedelta(hours=2)
    assert moment_of("2027-01-31", "--until", NOON) == datetime(2027, 1, 31, tzinfo=UTC)
    assert moment_of("2027-01-31T18:00:00+01:00", "--until", NOON) == datetime(2027, 1, 31, 17, tzinfo=UTC)
    with pytest.raises(ConfigError, match="--until: found 'tomorrow'"):
        moment_of("tomorrow", "--until", NOON)
