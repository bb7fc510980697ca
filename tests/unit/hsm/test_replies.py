from __future__ import annotations

from typing import get_args

import pytest

from hsm import wire
from hsm.errors import TokenError
from hsm.replies import _ERRORS, expect


@pytest.mark.parametrize("reason", get_args(wire.Reason))
def test_every_reason_of_a_child_is_an_error_with_its_words(reason: wire.Reason) -> None:
    with pytest.raises(_ERRORS[reason], match="what the child said") as refused:
        expect(wire.Failed(reason, "what the child said"), wire.Signed)
    assert refused.value.retryable is (reason in {"token-busy", "session-lost"})


def test_another_answer_than_was_asked_for_is_none() -> None:
    signed = wire.Signed(b"raw")
    assert expect(signed, wire.Signed) is signed
    with pytest.raises(TokenError, match="answered with Opened instead of Signed"):
        expect(wire.Opened("0001"), wire.Signed)
