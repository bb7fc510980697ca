"""YAML as configuration reads it: plain data with positions, and nothing that two parsers read differently."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.scalars import describe, plain
from proxy.config.yaml import MAX_BYTES, MAX_DEPTH, Mark, read, render_where
from proxy.oci.faults import ConfigError

FILE = Path("countersign.yaml")


def problems(text: bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, FILE)
    return str(caught.value).splitlines()


def test_plain_data_with_the_position_of_everything() -> None:
    document = read(b'a: 1\nb: {c: [x, "2"]}\n', FILE)
    assert document.data == {"a": 1, "b": {"c": ("x", "2")}}
    assert document.mark(("b", "c", 1)) == Mark(2, 12)
    assert document.mark(("b", "c"), key=True) == Mark(2, 5)
    assert document.mark(("b", "nothing", "there")) == Mark(2, 4), "the nearest thing around it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("2.5", 2.5),
        ("", None),
        ("null", None),
        ("v1.2.3", "v1.2.3"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("2027-01-31", date(2027, 1, 31)),
        ("2027-01-31T08:00:00Z", datetime(2027, 1, 31, 8, tzinfo=UTC)),
        ("2027-01-31T08:00:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_scalars_that_mean_one_thing(text: str, value: object) -> None:
    assert plain(text) == value


@pytest.mark.parametrize(
    "text",
    ["no", "Yes", "on", "OFF", "TRUE", "012", "0x1F", "0o17", "1_000", "1:30", "+1", ".5", "1e3", ".inf", ".NaN"],
)
def test_scalars_that_parsers_read_differently_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="YAML parsers read") as caught:
        plain(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize("text", ["2027-02-31", "2027-01-31 8:00:00"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="a time is written"):
        plain(text)


@given(st.text(max_size=40))
def test_a_scalar_is_itself_or_refused_and_never_another_text(text: str) -> None:
    try:
        value = plain(text)
    except ValueError:
        return
    assert not isinstance(value, str) or value == text


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_a_config_error(raw: bytes) -> None:
    try:
        read(raw, FILE)
    except ConfigError as error:
        assert str(error).startswith("countersign.yaml:")


def test_several_problems_at_once_each_at_its_place() -> None:
    said = problems(b"a: &x 1\nb: *x\nc: no\na: 2\n<<: {}\n12: 3\nd: !!str 2\n")
    assert [line.split(": ")[0] for line in said] == [
        "countersign.yaml:1:4",
        "countersign.yaml:2:4",
        "countersign.yaml:3:4",
        "countersign.yaml:4:1",
        "countersign.yaml:5:1",
        "countersign.yaml:6:1",
        "countersign.yaml:7:4",
    ]
    assert "first in line 1" in said[3]


def test_not_utf8_names_the_byte() -> None:
    assert problems(b"a: 1\nb: \xff") == ["countersign.yaml:2:4: found byte 0xff; the file must be UTF-8 text"]


def test_utf16_is_not_utf8() -> None:
    assert "UTF-8" in problems("a: 1".encode("utf-16"))[0]


def test_control_characters_are_named() -> None:
    assert problems(b'a: 1\nb: "\x07"')[0].startswith("countersign.yaml:2:5: found character 0x7")


def test_too_large_is_refused_unread() -> None:
    assert f"at most {MAX_BYTES}" in problems(b"#" * (MAX_BYTES + 1))[0]


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- "])
def test_depth_is_bounded(opening: bytes) -> None:
    assert f"deeper than {MAX_DEPTH}" in problems(opening * 60_000)[0]


def test_one_document() -> None:
    assert "second document" in problems(b"a: 1\n---\nb: 2\n")[0]


def test_keys_are_text() -> None:
    assert "keys are text" in problems(b"? [a]\n: b\n")[0]


def test_an_alias_as_a_key_is_named_alone() -> None:
    assert problems(b"a: 1\n*x : 2\n") == [
        "countersign.yaml:2:1: [1]: found the alias *x; aliases and anchors are not allowed, write it out"
    ]


def test_what_precedes_unreadable_yaml_is_told_too() -> None:
    said = problems(b"a: no\na: &x 1\nb: [")
    assert [line.split(": ")[0].removeprefix("countersign.yaml:") for line in said] == ["1:4", "2:1", "2:4", "3:5"]


def test_unfinished_yaml_has_a_place() -> None:
    assert problems(b"a: [1,\nb: }")[0].startswith("countersign.yaml:2:4: not readable as YAML")


def test_where_is_shown_without_control_characters() -> None:
    assert render_where(("policies", 0, "pull")) == "policies[0].pull"
    assert "\x1b" not in render_where(("a\x1b[31m",))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing (null)"),
        (True, "true"),
        (3, "the number 3"),
        ("é", "text '\\xe9'"),
        ({}, "a mapping"),
        ((), "a list"),
    ],
)
def test_found_in_words(value: object, words: str) -> None:
    assert describe(value) == words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("off", 'read as a word, or as true or false; write "off", true or false'),
        ("9" * 23, "a number larger than any setting takes; the largest is 9223372036854775807"),
    ],
)
def test_a_word_and_a_number_were_refused_with_advice_that_did_not_help(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        read(f"mode: {text}\n".encode(), Path("c.yaml"))


def test_the_comment_that_init_writes_can_be_typed_as_it_stands() -> None:
    for word in ("enforce", "warn", "'off'"):
        assert read(f"mode: {word}\n".encode(), Path("c.yaml")).data == {"mode": word.strip("'")}
