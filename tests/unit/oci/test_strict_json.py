from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oci.faults import Corrupt
from proxy.oci.strict_json import TooManyValues, _outside_strings, canonical, loads, most_values

DEPTH = 32
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(10**19) + 1, 10**19 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(VALUES, st.booleans())
def test_what_is_plain_is_read_as_json_reads_it(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert loads(data, DEPTH) == value


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\ud80123eE+-.', max_size=60).map(str.encode))
def test_any_bytes_end_in_a_value_or_in_corrupt(data: bytes) -> None:
    with suppress(Corrupt):
        loads(data, DEPTH)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"<html></html>", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'"\x01"', "not JSON"),
        (b"01", "not JSON"),
        (b'{"a":1,"a":1}', "'a' twice"),
        (b'{"a":1,"\\u0061":2}', "'a' twice"),
        (b'[{"x":[{"b":{},"b":{}}]}]', "'b' twice"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        ("{}".encode("utf-16-le"), "not JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\xaf"', "not UTF-8"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
        (b'["\\udc00\\ud800"]', "lone surrogate"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "without a value"),
        (b"1" * 20, "20 digits"),
        (b"-" + b"9" * 4000, "4001 digits"),
    ],
)
def test_what_parsers_read_differently_is_corrupt(data: bytes, says: str) -> None:
    with pytest.raises(Corrupt, match=says):
        loads(data, DEPTH)


def test_escaped_pairs_of_surrogates_are_characters() -> None:
    assert loads(b'"\\ud83d\\ude00"', DEPTH) == "\U0001f600"


def test_depth_is_counted_outside_of_strings_and_to_the_bound() -> None:
    assert loads(b"[" * DEPTH + b"]" * DEPTH, DEPTH) is not None
    assert loads(b'"' + b"[" * 100 + b'\\"' + b"{" * 100 + b'"', DEPTH) is not None
    with pytest.raises(Corrupt, match=f"nested {DEPTH + 1} deep"):
        loads(b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), DEPTH)


@pytest.mark.parametrize(
    "data", [b"[" * 10**6, b'{"a":' * 10**5, b"]" * 10**5 + b"[" * 10**5, b'"\\' * 10**6, b'"\\"' * 10**6]
)
def test_hostile_nesting_and_quoting_take_linear_time_and_no_recursion(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Corrupt):
        loads(data, DEPTH)
    assert time.process_time() - began < 2


STRING = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)


@given(st.text(alphabet='[]{}",:\\a', max_size=80).map(str.encode))
def test_what_stands_outside_of_strings_is_told_as_a_reader_of_one_byte_after_the_other_would(data: bytes) -> None:
    try:
        json.loads(data)
    except ValueError:
        return
    outside, whole = _outside_strings(data, 1000)
    assert whole
    assert outside == STRING.sub(b"", data)


@given(VALUES, st.booleans())
def test_there_are_never_more_values_than_are_counted(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    outside, _ = _outside_strings(data, 1000)
    assert _count(value) <= most_values(outside) <= most_values(data)


def _count(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, inner))


@pytest.mark.parametrize("unit", [b"0,", b'"",', b"[],", b"{},", b'{"a":0},', b'"\\"",'])
def test_more_values_than_may_be_are_refused_before_any_is_built(unit: bytes) -> None:
    with pytest.raises(TooManyValues, match="more than 100 values"):
        loads(b"[" + unit * 100 + b"0]", DEPTH, 100)
    assert loads(b"[" + unit * 30 + b"0]", DEPTH, 100)


def test_the_same_value_has_the_same_text() -> None:
    assert canonical({"b": [1, None], "a": "x"}) == canonical({"a": "x", "b": (1, None)}) == '{"a":"x","b":[1,null]}'


def test_only_ascii_comes_out_whatever_goes_in() -> None:
    assert canonical("ü\0\ud800") == '"\\u00fc\\u0000\\ud800"'


def test_what_json_has_no_form_for_is_written_as_text() -> None:
    assert canonical(datetime(2026, 1, 2, tzinfo=UTC)) == '"2026-01-02 00:00:00+00:00"'
