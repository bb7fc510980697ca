from __future__ import annotations

import pytest

from proxy.oci.faults import Fault
from proxy.oci.query import PAIRS, QUERY_LENGTH, VALUE_LENGTH, join, opaque, split, value, values


def test_pairs_are_kept_as_they_were_written() -> None:
    assert split("_state=a%3D=%2f&&k&n=1") == (("_state", "a%3D=%2f"), ("k", ""), ("n", "1"))


@pytest.mark.parametrize("raw", ["a=\x00", "a=b c", "a=\x7f", "a=é", "a#b", "a=\n"])
def test_what_no_query_holds_is_refused(raw: str) -> None:
    with pytest.raises(Fault, match="query not valid"):
        split(raw)


def test_what_is_too_long_is_told_with_its_length() -> None:
    assert split("a=" + "b" * (QUERY_LENGTH - 2))
    with pytest.raises(Fault, match=f"query of {QUERY_LENGTH + 1} characters; at most {QUERY_LENGTH} are read"):
        split("a=" + "b" * (QUERY_LENGTH - 1))
    assert value(split("last=" + "b" * VALUE_LENGTH), "last")
    with pytest.raises(Fault, match=f"last of {VALUE_LENGTH + 1} characters; at most {VALUE_LENGTH} are read"):
        value(split("last=" + "b" * (VALUE_LENGTH + 1)), "last")


def test_the_number_of_parameters_is_bounded() -> None:
    assert len(split("&".join(["a=b"] * PAIRS))) == PAIRS
    with pytest.raises(Fault, match=f"{PAIRS + 1} parameters"):
        split("&".join(["a=b"] * (PAIRS + 1)))


def test_values_are_decoded_once_and_a_plus_stays() -> None:
    assert value(split("last=a%2Fb%2525+c"), "last") == "a/b%25+c"
    assert value(split("l%61st=x"), "last") == "x"
    assert value(split("LAST=x"), "last") is None
    assert values(split("tag=a&n=1&tag=b"), "tag") == ("a", "b")


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%00", "%20", "%0a", "%c3%a9", "%1b[31m", "x" * (VALUE_LENGTH + 1)])
def test_values_that_no_field_can_hold_are_refused(text: str) -> None:
    with pytest.raises(Fault) as refused:
        value(split(f"last={text}"), "last")
    assert (refused.value.code, refused.value.status) == ("UNSUPPORTED", 400)


def test_an_empty_value_is_no_value() -> None:
    assert value(split("last=&n=1"), "last") is None
    assert value(split("last"), "last") is None
    assert value(split("last=&last=x"), "last") == "x"


def test_a_parameter_that_counts_once_may_not_come_twice() -> None:
    with pytest.raises(Fault, match="digest is given 2 times"):
        value(split("digest=a&%64igest=b"), "digest")


def test_opaque_pairs_lose_the_named_ones_in_any_spelling() -> None:
    pairs = split("a=%2F&digest=1&%64igest=2&DIGEST=3&b=")
    assert opaque(pairs, {"digest"}) == (("a", "%2F"), ("b", ""))


@pytest.mark.parametrize("raw", ["a=1;digest=2", "a;b=1", "a=%", "a=%4", "=x", "a%=1", 'a="', "a=<", "a=\\", "a=`"])
def test_opaque_pairs_that_another_parser_splits_elsewhere_are_refused(raw: str) -> None:
    with pytest.raises(Fault, match="query parameter not valid"):
        opaque(split(raw), set())


def test_join_quotes_what_we_understood_and_leaves_the_rest() -> None:
    assert join((("n", None),)) == ""
    assert join((("last", "a/b&c=d+%"), ("n", None)), (("_state", "a%3D"),)) == "?_state=a%3D&last=a%2Fb%26c%3Dd%2B%25"
