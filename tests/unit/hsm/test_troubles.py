"""Every error that the library under us can raise has its row: what it means, and what is done."""

from __future__ import annotations

import inspect

import pytest
from pkcs11 import exceptions

from hsm.troubles import TROUBLES, Remedy, trouble_of

SHOWN = inspect.getmembers(exceptions, inspect.isclass)
EVERY = {name for name, kind in SHOWN if issubclass(kind, exceptions.PKCS11Error)}


def test_every_error_has_a_row_and_every_row_is_an_error() -> None:
    assert set(TROUBLES) == EVERY
    assert all(row.means for row in TROUBLES.values())


def test_what_a_vendor_invented_ends_the_session() -> None:
    assert trouble_of(type("VendorDefined", (exceptions.PKCS11Error,), {})).remedy is Remedy.REPLACE
    assert trouble_of(RuntimeError).remedy is Remedy.REPLACE


@pytest.mark.parametrize("name", ["PinIncorrect", "PinLocked", "PinExpired", "PinInvalid", "PinLenRange"])
def test_a_pin_is_never_offered_again(name: str) -> None:
    assert trouble_of(getattr(exceptions, name)).remedy is Remedy.NEVER
