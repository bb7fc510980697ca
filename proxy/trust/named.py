"""Index of denials and exceptions: matching ones are found without testing each of tens of thousands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from proxy.oci.reference import Digest, Repository
from proxy.trust.pattern import matches


class Naming(Protocol):
    """A denial or an exception: of a digest, or (None) of everything, in the repositories of the pattern."""

    @property
    def digest(self) -> Digest | None:
        """The digest it covers."""

    @property
    def repositories(self) -> str:
        """The repositories it covers."""


T = TypeVar("T", bound=Naming)


class Named(Generic[T]):
    """Denials or exceptions, by digest, by the name of one repository, and the rest by the prefix of their patterns.

    The rest is tested one by one: about a tenth of a microsecond each.
    """

    def __init__(self, all_of_them: Iterable[T]) -> None:
        """Index these items."""
        self._digests: dict[Digest, list[T]] = {}
        self._names: dict[str, list[T]] = {}
        self._patterns: list[tuple[str, T]] = []
        for each in all_of_them:
            if each.digest is not None:
                self._digests.setdefault(each.digest, []).append(each)
            elif "*" in each.repositories:
                self._patterns.append((each.repositories.partition("*")[0].rstrip("/"), each))
            else:
                self._names.setdefault(each.repositories, []).append(each)

    @property
    def digests(self) -> Collection[Digest]:
        """Every digest that is named."""
        return self._digests.keys()

    def about(self, repository: Repository, digests: Collection[Digest]) -> Iterator[T]:
        """Yield the items that cover one of these digests in this repository: those by digest first, then by name."""
        for digest in digests:
            yield from (each for each in self._digests.get(digest, ()) if _is_there(each, repository))
        yield from self._names.get(repository, ())
        for begins, each in self._patterns:
            if repository.startswith(begins) and _is_there(each, repository):
                yield each


def _is_there(each: Naming, repository: Repository) -> bool:
    return each.repositories == "**" or matches(each.repositories, repository)
