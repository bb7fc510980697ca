"""What a difference is, and at which registries it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEBIAN, DISTRIBUTION, MEMORY = "docker-registry", "registry", "referrers"  # as in tests.interop.shared.UPSTREAMS
CLOSED = "closed"  # Debian's, which wants a password; its other differences are those of the open one
GO = (DEBIAN, DISTRIBUTION)
ALL = (DEBIAN, DISTRIBUTION, MEMORY)


@dataclass(frozen=True)
class Difference:
    """A kind of difference: what is another one through the proxy, why, and where.

    `lines` are regular expressions for whole lines `case | what: direct => through`, by the registries at which every
    one of them matches a line.
    """

    what: str
    why: str
    lines: Mapping[tuple[str, ...], tuple[str, ...]]

    def at(self) -> tuple[str, ...]:
        """The registries where it is seen."""
        return tuple(each for each in (*ALL, CLOSED) if any(each in some for some in self.lines))
