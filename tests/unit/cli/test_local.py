"""What a command makes of the server's answer; the socket itself is in tests/contract, plain errors in test_ask.py."""

from __future__ import annotations

import json

import pytest

from proxy.cli.local import understood
from proxy.oci.faults import STATUS, Fault, Unavailable


def error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "said by the server"}]}).encode()


@pytest.mark.parametrize("code", [*STATUS, "SOMETHING_NEW"])
def test_every_error_of_the_server_is_a_fault_with_its_words_and_its_status(code: str) -> None:
    with pytest.raises(Fault, match="said by the server") as refused:
        understood(418, error(code))
    assert refused.value.status == 418
    assert refused.value.code in {code, "UNKNOWN"}


def test_only_an_object_that_came_with_200_is_an_answer() -> None:
    assert understood(200, b'{"outcome": "failed"}') == {"outcome": "failed"}
    for status, body in ((200, b"[]"), (200, b"1"), (204, b"{}"), (500, b'{"outcome": "passed"}')):
        with pytest.raises(Fault, match=f"the server answered {status}"):
            understood(status, body)
    for body in (b"", b"<html>", b"\xff"):
        with pytest.raises(Unavailable, match="another program"):
            understood(200, body)
