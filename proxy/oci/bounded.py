"""A mapping with a bound, for what a process remembers: quick to ask, and indexed by what its entries are about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping
from math import inf
from typing import TypeVar, cast, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


def _one(_value: object) -> int:
    return 1


def _start() -> float:
    return 0.0


def _nothing(_key: object, _value: object) -> tuple[()]:
    return ()


class Bounded(MutableMapping[K, V]):
    """Entries of at most `most` in all, by `size`; beyond that, the least recently used ones are dropped.

    With `seconds`, an entry ends that long after it was put, and the oldest are dropped first. `subjects` returns what
    an entry is about: `about` and `drop` find the entries of one subject without visiting any other.
    """

    def __init__(
        self,
        most: float,
        size: Callable[[V], int] = _one,
        *,
        seconds: float = inf,
        now: Callable[[], float] = _start,
        subjects: Callable[[K, V], Iterable[Hashable]] = _nothing,
    ) -> None:
        """Start empty; `now` is the clock for `seconds`."""
        self.used = 0
        self._most, self._size_of = most, size
        self._seconds, self._now = seconds, now
        self._subjects_of = subjects
        self._kept: OrderedDict[K, tuple[V, int, float]] = OrderedDict()
        self._about: dict[Hashable, dict[K, None]] = {}

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...

    @overload
    def get(self, key: K, default: V | T) -> V | T: ...

    def get(self, key: K, default: object = None) -> object:
        """Return the value that is kept under this key, or the default."""
        found = self._kept.get(key)
        if found is None:
            return default
        if self._seconds == inf:
            self._kept.move_to_end(key)
        elif found[2] <= self._now():
            del self[key]
            return default
        return found[0]

    def __getitem__(self, key: K) -> V:
        """Return the value that is kept under this key. Raises KeyError."""
        if key not in self:
            raise KeyError(key)
        return cast("V", self.get(key))

    def __contains__(self, key: object) -> bool:
        """True if a value is kept under this key; the entry does not count as used."""
        found = self._kept.get(key)  # type: ignore[arg-type]  # a mapping can be asked for anything
        return found is not None and found[2] > self._now()

    def __setitem__(self, key: K, value: V) -> None:
        """Keep the value, unless it is larger than all that may be kept."""
        if key in self._kept:
            del self[key]
        size, now = self._size_of(value), self._now()
        if size > self._most:
            return
        self._kept[key] = value, size, now + self._seconds
        self.used += size
        for subject in self._subjects_of(key, value):
            self._about.setdefault(subject, {})[key] = None
        while self._kept and (self.used > self._most or self._oldest()[1][2] <= now):
            del self[self._oldest()[0]]

    def __delitem__(self, key: K) -> None:
        """Drop the entry. Raises KeyError."""
        value, size, _ = self._kept.pop(key)
        self.used -= size
        for subject in self._subjects_of(key, value):
            if (keys := self._about.get(subject)) is not None:
                keys.pop(key, None)
                if not keys:
                    del self._about[subject]

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys of the entries that have not ended."""
        return iter([key for key in self._kept if key in self])

    def __len__(self) -> int:
        """Return the number of entries, those that have ended and are not dropped yet included."""
        return len(self._kept)

    def clear(self) -> None:
        """Drop everything."""
        self.used = 0
        self._kept.clear()
        self._about.clear()

    def about(self, subject: Hashable) -> list[K]:
        """Return the keys of the entries about this subject."""
        return [key for key in self._about.get(subject, ()) if key in self]

    def drop(self, subject: Hashable) -> None:
        """Drop every entry about this subject."""
        for key in list(self._about.get(subject, ())):
            del self[key]

    def _oldest(self) -> tuple[K, tuple[V, int, float]]:
        return next(iter(self._kept.items()))
