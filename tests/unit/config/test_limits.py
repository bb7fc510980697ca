from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest
from pydantic import ValidationError

from proxy.config.limits import _HARD, _MAY_BE_ZERO, _SAYS, LimitsEntry
from proxy.oci.limits import Limits
from tests.unit.config.test_settings import MINIMAL, parse, problems

NAMES = [field.name for field in fields(Limits)]


def test_there_is_one_setting_for_every_bound_and_none_besides() -> None:
    assert list(LimitsEntry.model_fields) == NAMES
    assert set(_SAYS) == set(NAMES)
    assert set(_HARD) | _MAY_BE_ZERO <= set(NAMES)
    assert LimitsEntry().model_dump() == asdict(Limits())


@pytest.mark.parametrize("name", NAMES)
def test_a_bound_is_never_taken_away_with_a_number(name: str) -> None:
    kind = type(getattr(Limits(), name))
    most = _HARD.get(name, 10**10)
    assert getattr(LimitsEntry(**{name: kind(most)}), name) == most
    for number in (kind(most) + 1, kind(-1), *([] if name in _MAY_BE_ZERO else [kind(0)])):
        with pytest.raises(ValidationError):
            LimitsEntry(**{name: number})


@pytest.mark.parametrize("name", sorted(_MAY_BE_ZERO))
def test_zero_is_written_where_nothing_shall_be_remembered(name: str) -> None:
    assert getattr(parse(f"{MINIMAL}limits: {{{name}: 0}}\n").limits, name) == 0


@pytest.mark.parametrize("number", [".inf", ".nan", "-.inf"])
@pytest.mark.parametrize("name", ["header_timeout_s", "right_to_read_s"])
def test_endless_is_no_bound(name: str, number: str) -> None:
    assert len(problems(f"{MINIMAL}limits: {{{name}: {number}}}\n")) == 1


def test_the_hard_bounds_are_in_the_schema_that_editors_read() -> None:
    shown = json.dumps(LimitsEntry.model_json_schema()["properties"]["right_to_read_s"])
    assert '"maximum": 60' in shown
    assert '"minimum": 0' in shown
