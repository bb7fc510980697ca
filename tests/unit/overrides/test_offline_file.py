import json
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.oci.faults import Corrupt
from proxy.oci.reference import digest_of
from proxy.overrides.offline_file import HOW, LONGEST, read, written
from tests.worlds.memory import NOON
from tests.worlds.orders import exception

MADE = replace(exception(name="0123456789ab", digest=digest_of(b"x"), offline=True), how=HOW)


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(written(MADE)), **fields}).encode()


def test_what_was_written_is_read() -> None:
    assert read(written(MADE), NOON) == MADE
    assert read(written(replace(MADE, digest=None)), NOON).digest is None


def test_it_is_over_two_hours_after_it_was_made_whatever_it_says() -> None:
    long = changed(until=(NOON + timedelta(days=365)).isoformat())
    assert read(long, NOON).until == NOON + LONGEST
    assert read(long, NOON + timedelta(hours=1)).until == NOON + LONGEST, "written again: from its first opening"
    older = changed(opened=(NOON - timedelta(hours=5)).isoformat())
    assert read(older, NOON).until == NOON - timedelta(hours=3)


def test_an_opening_in_the_future_is_refused() -> None:
    with pytest.raises(Corrupt, match="opened after it was made"):
        read(changed(opened=(NOON + timedelta(hours=1)).isoformat()), NOON)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        changed(repository="team/**"),
        changed(repository=""),
        changed(repository=["team/app"]),
        changed(digest="sha256:short"),
        changed(id="../../etc"),
        changed(id=""),
        changed(reason=""),
        changed(reason="a\nb"),
        changed(reason="x" * 501),
        changed(by=None),
        changed(opened="2026-01-02T12:00:00"),
        changed(until="soon"),
        changed(unsigned_push=True),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        read(data, NOON)
