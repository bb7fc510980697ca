from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from proxy.oci.limits import MIB, Limits


def test_every_bound_is_a_positive_number() -> None:
    assert all(getattr(Limits(), field.name) > 0 for field in fields(Limits))


def test_bounds_do_not_move() -> None:
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.manifest_bytes = 5 * MIB  # type: ignore[misc]
