from __future__ import annotations

import pytest

from proxy.oci.shares import Shares
from proxy.web.intake import Intake, Phase, TooMuch

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


class Content:
    """A body as the parser fills it."""

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def is_eof(self) -> bool:
        return self.whole


class Line:
    """One connection, and what was handed on."""

    def __init__(self, most: int = 1000, headers: int = 10_000) -> None:
        self.seen: list[bytes] = []
        self.rests = 0
        self.headers = Shares(headers)
        self.intake = Intake(self.seen.append, self._rested, most, self.headers)

    def _rested(self) -> None:
        self.rests += 1


def test_a_header_is_handed_on_as_it_arrives_and_nothing_behind_it() -> None:
    line = Line()
    for part in (GET[:10], GET[10:-2], GET[-2:] + GET):
        line.intake.arrived(part)
    assert b"".join(line.seen) == GET
    assert (line.intake.phase, bytes(line.intake.waiting)) == (Phase.PARSED, GET)


@pytest.mark.parametrize("at", range(1, len(GET)))
def test_the_end_of_a_header_is_found_wherever_it_is_cut(at: int) -> None:
    line = Line()
    for part in (GET[:at], GET[at:] + b"next"):
        line.intake.arrived(part)
    assert (b"".join(line.seen), bytes(line.intake.waiting)) == (GET, b"next")


@pytest.mark.parametrize("blank", [b"\r\n", b"\r\n\r\n", b"\n\n\n"])
def test_empty_lines_before_a_request_are_no_header(blank: bytes) -> None:
    line = Line()
    line.intake.arrived(blank + GET)
    assert (b"".join(line.seen), line.intake.phase) == (blank + GET, Phase.PARSED)


def test_the_next_request_is_handed_on_once_the_one_before_it_is_answered() -> None:
    line = Line()
    line.intake.arrived(GET * 3)
    for n in (1, 2, 3):
        assert len(line.seen) == n
        line.intake.entered(Content(whole=True), 0)
        line.intake.answered()
    assert (line.seen, line.rests, line.headers.used) == ([GET] * 3, 3, 0)


def test_a_body_is_handed_on_once_somebody_reads_it() -> None:
    line = Line()
    line.intake.arrived(PUT + b"hel")
    content = Content()
    line.intake.entered(content, 5)
    assert (line.seen, line.intake.phase) == ([PUT], Phase.UNREAD)
    line.intake.wanted()
    line.intake.arrived(b"lo" + GET)
    assert (line.seen[1:], bytes(line.intake.waiting)) == ([b"hel", b"lo"], GET)
    content.whole = True
    line.intake.answered()
    assert line.seen[-1] == GET


def test_a_body_that_nobody_read_is_dropped_after_the_answer() -> None:
    line = Line()
    line.intake.arrived(PUT + b"hel")
    line.intake.entered(Content(), 5)
    line.intake.answered()
    assert (line.seen[-1], line.rests) == (b"hel", 0)
    line.intake.arrived(b"lo" + GET)
    assert (line.seen[-2:], line.rests) == ([b"lo", GET], 1)


def test_the_end_of_a_chunked_body_is_the_parsers_to_find() -> None:
    line = Line()
    line.intake.arrived(GET)
    content = Content()
    line.intake.entered(content, None)
    line.intake.wanted()
    line.intake.arrived(b"3\r\nabc\r\n")
    content.whole = True
    line.intake.arrived(GET)
    assert (line.seen[1:], bytes(line.intake.waiting)) == ([b"3\r\nabc\r\n"], GET)


def test_a_header_that_is_too_long_is_told_at_the_byte_that_is_too_much() -> None:
    line = Line(most=len(GET))
    line.intake.arrived(GET)
    line = Line(most=len(GET) - 1)
    with pytest.raises(TooMuch) as much:
        line.intake.arrived(GET)
    assert not much.value.share
    line = Line(most=100)
    line.intake.arrived(b"a" * 100)
    with pytest.raises(TooMuch):
        line.intake.arrived(b"a")


def test_a_body_is_no_header_however_long_it_is() -> None:
    line = Line(most=200)
    line.intake.arrived(PUT + b"x" * 10_000)
    line.intake.entered(Content(), 20_000)
    line.intake.wanted()
    line.intake.arrived(b"x" * 10_000)
    assert sum(map(len, line.seen)) == len(PUT) + 20_000


def test_what_waits_is_counted_until_its_turn_comes() -> None:
    line = Line(headers=100)
    line.intake.arrived(GET[:20])
    assert line.headers.used == 20
    line.intake.arrived(GET[20:])
    line.intake.entered(Content(whole=True), 0)
    assert line.headers.used == 0
    line.intake.arrived(b"x" * 100)
    assert line.headers.used == 100
    with pytest.raises(TooMuch) as much:
        line.intake.arrived(b"x")
    assert much.value.share
    line.intake.close()
    assert (line.headers.used, len(line.intake.waiting)) == (0, 0)


def test_one_address_leaves_room_for_the_headers_of_others() -> None:
    headers = Shares(1000)
    greedy = [Intake(lambda _: None, lambda: None, 1000, headers, "a") for _ in range(20)]
    for each in greedy[:7]:
        each.arrived(b"x" * 100)
    with pytest.raises(TooMuch):
        greedy[7].arrived(b"x" * 100)
    assert headers.used == 700
    Intake(lambda _: None, lambda: None, 1000, headers, "b").arrived(b"x" * 100)
