from __future__ import annotations

import pytest

from proxy.oci.faults import STATUS, Conflict, Corrupt, Fault, Forbidden, Invalid, NotFound, Unavailable


@pytest.mark.parametrize("code", STATUS)
def test_a_fault_has_the_status_of_its_code_unless_told_otherwise(code: str) -> None:
    assert Fault(code, "why").status == STATUS[code]
    assert Fault(code, "why", status=418).status == 418
    assert str(Fault(code, "why")) == "why"


def test_codes_that_the_specification_does_not_have_are_no_faults() -> None:
    with pytest.raises(KeyError):
        Fault("NO_SUCH_CODE", "why")


def test_the_kinds_of_admin_operations_fix_code_and_status() -> None:
    kinds = [kind("why") for kind in (NotFound, Conflict, Invalid, Forbidden)]
    assert [(each.code, each.status, each.message) for each in kinds] == [
        ("NAME_UNKNOWN", 404, "why"),
        ("DENIED", 409, "why"),
        ("UNSUPPORTED", 400, "why"),
        ("DENIED", 403, "why"),
    ]


def test_headers_of_a_fault_are_its_own() -> None:
    headers = {"Allow": "GET"}
    fault = Fault("UNSUPPORTED", "why", headers=headers)
    headers["Allow"] = "PUT"
    assert fault.headers == {"Allow": "GET"}


def test_the_other_two_say_what_happened() -> None:
    assert (Unavailable("upstream").what, Unavailable("upstream").retry_after) == ("upstream", 5)
    assert Corrupt("length").what == str(Corrupt("length")) == "length"
