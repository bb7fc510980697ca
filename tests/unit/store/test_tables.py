from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import sqlite

from proxy.oci.duration import instant
from proxy.store.tables import Instant, metadata

BERLIN = timezone(timedelta(hours=2))


def test_moments_are_text_of_one_width_in_utc() -> None:
    assert instant(datetime(2026, 1, 2, 14, 0, tzinfo=BERLIN)) == "2026-01-02T12:00:00.000000Z"


def test_moments_are_ordered_as_their_text_is() -> None:
    moments = [datetime(2026, 1, 2, 12, tzinfo=UTC) + timedelta(microseconds=n) for n in (0, 1, 10, 1_000_000)]
    assert sorted(instant(at) for at in moments) == [instant(at) for at in moments]


@pytest.mark.parametrize("at", [datetime(2026, 1, 2, 12, 0, 0, 1, tzinfo=UTC), None])
def test_a_moment_comes_back(at: datetime | None) -> None:
    dialect, column = sqlite.dialect(), Instant()
    assert column.process_result_value(column.process_bind_param(at, dialect), dialect) == at


def test_every_table_can_tell_its_rows_apart() -> None:
    assert [name for name, table in metadata.tables.items() if not table.primary_key.columns] == []
