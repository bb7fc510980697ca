"""Repository and tag patterns: `*` within a segment, `**` over any number of segments. No regular expressions."""

from __future__ import annotations

import re

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
    """True when `text` matches, where `*` stands for any run of characters without a slash."""
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
    """True for a pattern of repository names: lower-case segments with `*` in them, and at most four `**`."""
    segments = text.split("/")
    good = all(s == "**" or (_SEGMENT.fullmatch(s) and "**" not in s) for s in segments)
    return good and len(text) <= 255 and segments.count("**") <= 4


def specificity(pattern: str) -> Specificity:
    """Return what is larger for the more specific pattern: literal segments, characters, segments, fewer wildcards.

    A pattern whose names all match another one is never the less specific: whatever the other demands (a literal
    segment, a character, a segment at all) it demands too.
    """
    parts = pattern.split("/")
    many = parts.count("**")
    literal = sum("*" not in part for part in parts)
    return literal, sum(len(part.replace("*", "")) for part in parts), len(parts) - many, -many, -pattern.count("*")


def covers(wide: str, narrow: str) -> bool:
    """True when it is plain that every name `narrow` matches, `wide` matches too; False also where it is not plain.

    Wildcards of `narrow` are taken for themselves: only a wildcard that is at least as wide stands for them.
    """
    parts = tuple(narrow.split("/"))
    reached = {0}
    for part in wide.split("/"):
        if part == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(parts) and parts[at] != "**" and glob(part, parts[at])}
    return len(parts) in reached


def overlap(one: str, other: str) -> bool:
    """True when some name matches both patterns."""
    head, begin = one.partition("*")[0].rstrip("/"), other.partition("*")[0].rstrip("/")
    if not head.startswith(begin) and not begin.startswith(head):  # names begin so; most pairs end here
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
    """True when some segment matches both: between the longer head and the longer tail there is room for the rest."""
    if "*" not in one:
        return glob(other, one)
    if "*" not in other:
        return glob(one, other)
    head_one, head_other = one.split("*")[0], other.split("*")[0]
    tail_one, tail_other = one.split("*")[-1], other.split("*")[-1]
    heads = head_one.startswith(head_other) or head_other.startswith(head_one)
    tails = tail_one.endswith(tail_other) or tail_other.endswith(tail_one)
    return heads and tails
