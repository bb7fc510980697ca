from datetime import UTC, datetime

from proxy.store.canonical import canonical


def test_the_same_value_has_the_same_text() -> None:
    assert canonical({"b": [1, None], "a": "x"}) == canonical({"a": "x", "b": (1, None)}) == '{"a":"x","b":[1,null]}'


def test_only_ascii_comes_out_whatever_goes_in() -> None:
    assert canonical("ü\0\ud800") == '"\\u00fc\\u0000\\ud800"'


def test_what_json_has_no_form_for_is_written_as_text() -> None:
    assert canonical(datetime(2026, 1, 2, tzinfo=UTC)) == '"2026-01-02 00:00:00+00:00"'
