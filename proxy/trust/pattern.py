"""Repository and tag patterns: `*` within a segment, `**` over any number of segments. No regular expressions."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

COMPARED = 250_000  # pairs of patterns in one text; thousands of teams with distinct names need a few thousand

_SEGMENT = re.compile(r"[a-z0-9._*-]+", re.ASCII)
Specificity = tuple[int, int, int, int, int]


def matches(pattern: str, name: str) -> bool:
    """True when the whole name matches; time is at most length of pattern times length of name."""
    return _segments(tuple(pattern.split("/")), tuple(name.split("/")))


def _segments(pattern: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """Match segment lists by dynamic programming over the pattern, so nothing backtracks."""
    reached = {0}
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached), len(name) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(name) and glob(part, name[at])}
    return len(name) in reached


def glob(pattern: str, text: str) -> bool:
    """True when `text` matches; `*` matches any run of characters without a slash."""
    if "*" not in pattern:
        return pattern == text
    head, *middle, tail = pattern.split("*")
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def is_pattern(text: str) -> bool:
    """True for a pattern of repository names: lower-case segments with optional `*`, and at most four `**`."""
    segments = text.split("/")
    good = all(s == "**" or (_SEGMENT.fullmatch(s) and "**" not in s) for s in segments)
    return good and len(text) <= 255 and segments.count("**") <= 4


def check_pattern(text: str) -> str:
    """Return the text. Raises ValueError if it is not a repository pattern."""
    if not is_pattern(text):
        raise ValueError("allowed: lower-case repository names with * (within a segment) and ** (any segments)")
    return text


def specificity(pattern: str) -> Specificity:
    """Return a key that is larger for the more specific pattern: literal segments, characters, segments, few wildcards.

    If all names of one pattern match another, the first is never less specific: it requires everything that the other
    requires (a literal segment, a character, a further segment).
    """
    parts = pattern.split("/")
    many = parts.count("**")
    literal = sum("*" not in part for part in parts)
    return literal, sum(len(part.replace("*", "")) for part in parts), len(parts) - many, -many, -pattern.count("*")


def covers(wide: str, narrow: str) -> bool:
    """True when `wide` provably matches every name that `narrow` matches; False also when this is uncertain.

    Wildcards of `narrow` are compared literally: only a wildcard that is at least as wide covers them.
    """
    parts = tuple(narrow.split("/"))
    reached = {0}
    for part in wide.split("/"):
        if part == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(parts) and parts[at] != "**" and glob(part, parts[at])}
    return len(parts) in reached


class TooAlike(Exception):
    """More than `COMPARED` pairs of patterns begin or end so that one name might match both."""


def neighbours(groups: Iterable[Iterable[str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each pattern once, with those of its group that overlap it or cover it, itself and some others.

    Prefixes and suffixes of the names are looked up in sorted order, so that thousands of patterns are not compared
    each with every other one. Raises TooAlike.
    """
    left = COMPARED
    for group in groups:
        distinct = dict.fromkeys(group)
        sides = _Side(distinct, _head), _Side(distinct, _tail)
        for pattern in distinct:
            near = min((side.near(pattern) for side in sides), key=len)
            left -= len(near)
            if left < 0:
                raise TooAlike
            yield pattern, near


class _Side:
    """Patterns sorted by the prefix, or the suffix, of the names they match."""

    def __init__(self, patterns: Iterable[str], text: Callable[[str], str]) -> None:
        self._text = text
        self._ordered = sorted(patterns, key=text)
        self._texts = [text(pattern) for pattern in self._ordered]
        self._first = {each: at for at, each in reversed(list(enumerate(self._texts)))}

    def near(self, pattern: str) -> list[str]:
        """Return the patterns whose text extends this one's text, or the reverse."""
        text, near = self._text(pattern), []
        for length in range(len(text)):
            if (at := self._first.get(text[:length])) is not None:
                near += self._ordered[at : bisect_left(self._texts, f"{text[:length]}\0", at)]
        at = bisect_left(self._texts, text)
        return near + self._ordered[at : bisect_left(self._texts, f"{text}\x7f", at)]


def _head(pattern: str) -> str:
    return pattern.partition("*")[0].rstrip("/")


def _tail(pattern: str) -> str:
    """Return the common suffix of all names, reversed."""
    return pattern.rpartition("*")[2].lstrip("/")[::-1]


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def overlap(one: str, other: str) -> bool:
    """True when some name matches both patterns."""
    if not (_begin_alike(_head(one), _head(other)) and _begin_alike(_tail(one), _tail(other))):  # most pairs end here
        return False
    return _overlap(tuple(one.split("/")), tuple(other.split("/")))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "**":
            todo += [(i + 1, j), *([(i, j + 1)] if j < len(other) else [])]
        if j < len(other) and other[j] == "**":
            todo += [(i, j + 1), *([(i + 1, j)] if i < len(one) else [])]
        if i < len(one) and j < len(other) and "**" not in (one[i], other[j]) and _may_meet(one[i], other[j]):
            todo.append((i + 1, j + 1))
    return False


def _may_meet(one: str, other: str) -> bool:
    """True when some segment matches both: heads and tails agree, and a `*` between them absorbs the rest."""
    if "*" not in one:
        return glob(other, one)
    if "*" not in other:
        return glob(one, other)
    head_one, head_other = one.split("*")[0], other.split("*")[0]
    tail_one, tail_other = one.split("*")[-1], other.split("*")[-1]
    heads = head_one.startswith(head_other) or head_other.startswith(head_one)
    tails = tail_one.endswith(tail_other) or tail_other.endswith(tail_one)
    return heads and tails
