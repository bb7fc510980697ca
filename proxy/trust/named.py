"""What names digests and repositories, found without looking at each: there may be tens of thousands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from proxy.oci.reference import Digest, Repository
from proxy.trust.pattern import matches


class Naming(Protocol):
    """A denial or an exception: of a digest, or (None) of everything, in the repositories of the pattern."""

    @property
    def digest(self) -> Digest | None:
        """The digest it is about."""

    @property
    def repositories(self) -> str:
        """Where."""


T = TypeVar("T", bound=Naming)


class Named(Generic[T]):
    """Denials or exceptions, by digest, by the name of one repository, and the rest by what their patterns begin with.

    The rest is looked at one by one: about a tenth of a microsecond each.
    """

    def __init__(self, all_of_them: Iterable[T]) -> None:
        """Find these from now on."""
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
        """Yield what is about one of these digests in this repository: those that name one first, then its name."""
        for digest in digests:
            yield from (each for each in self._digests.get(digest, ()) if _is_there(each, repository))
        yield from self._names.get(repository, ())
        for begins, each in self._patterns:
            if repository.startswith(begins) and _is_there(each, repository):
                yield each


def _is_there(each: Naming, repository: Repository) -> bool:
    return each.repositories == "**" or matches(each.repositories, repository)
