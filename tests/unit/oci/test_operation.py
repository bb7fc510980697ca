from __future__ import annotations

from functools import partial
from typing import get_args

from hypothesis import Phase, find, settings

from proxy.oci.operation import Operation
from tests.worlds.strategies import operations

# The smallest example is of no interest here, and looking for it takes a minute.
FIRST_FOUND = settings(phases=[Phase.generate], max_examples=5000, database=None)


def is_a(kind: type, op: Operation) -> bool:
    return isinstance(op, kind)


def test_the_strategy_draws_every_operation() -> None:
    for kind in get_args(Operation):
        assert is_a(kind, find(operations(), partial(is_a, kind), settings=FIRST_FOUND))
