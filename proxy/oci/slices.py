"""A part of an ordered list: the rows next to one row, on one side of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Key = tuple[int | str, ...]  # what orders the rows of a list, unique to each of them


@dataclass(frozen=True)
class Slice:
    """At most `limit` rows after the one with this key, in the order of the list; with `back`, those before it.

    Without a key it is the beginning of the list.
    """

    limit: int
    key: Key = ()
    back: bool = False


def within(rows: Sequence[T], key_of: Callable[[T], Key], part: Slice, *, newest_first: bool = False) -> Sequence[T]:
    """Return the rows of this part, in the order of their keys; with `newest_first` in the opposite order."""
    ordered = sorted(rows, key=key_of, reverse=newest_first)
    up = newest_first == part.back
    if part.key:
        ordered = [row for row in ordered if (key_of(row) > part.key if up else key_of(row) < part.key)]
    return ordered[-part.limit :] if part.back else ordered[: part.limit]
