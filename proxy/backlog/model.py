"""What is to be signed later, as values: the selection, each image of the list, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from proxy.journal.port import NOT_KNOWN, Callers
from proxy.oci.faults import Fault, Invalid
from proxy.oci.image_name import parse_name
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Digest, Repository
from proxy.trust.pattern import check_pattern, glob, matches

LISTED = 10_000  # images to sign in one list; those signed are left out of the next
LOOKED_AT = 100_000  # images looked at for one list


class Status(StrEnum):
    """What signing an image would come to."""

    TO_SIGN = "to sign"
    SIGNED = "signed already"
    DENIED = "denied"
    NO_POLICY = "no policy signs there"
    MOVED = "tag moved since it was pulled"
    GONE = "not in the registry"
    SIGNATURE = "a signature itself"
    OUTSIDE = "not for this token"
    UNKNOWN = "could not look"


_QUIET = frozenset({Status.TO_SIGN, Status.SIGNED, Status.SIGNATURE})  # counted only


@dataclass(frozen=True)
class Candidate:
    """An image that was selected; `digest`: only if the name still means that one."""

    name: PullManifest
    digest: Digest | None = None


@dataclass(frozen=True)
class Listed:
    """An image that was looked at: its digest, who pulled it, who pushed it as far as is recorded, and its status."""

    repository: str
    reference: str
    digest: str = ""
    status: Status = Status.TO_SIGN
    why: str = ""
    callers: Callers = NOT_KNOWN
    last: str = ""  # the last pull, ISO 8601
    pushed: str = ""

    @property
    def name(self) -> str:
        """The name for people."""
        joint = "@" if ":" in self.reference else ":"
        return f"{self.repository}{joint}{self.reference}" if self.reference else self.repository

    @property
    def problem(self) -> str:
        """Why it is not signed, for people; empty if that needs no explanation."""
        if self.status in _QUIET:
            return ""
        return f"{self.name}: {self.status}{f': {self.why}' if self.why else ''}"


@dataclass(frozen=True)
class Images:
    """A pattern of repositories, and one of their tags."""

    repositories: str
    tags: str

    def has(self, repository: str) -> bool:
        """True for a repository of the pattern."""
        return matches(self.repositories, repository)

    def has_tag(self, tag: str) -> bool:
        """True for a tag of the pattern."""
        return glob(self.tags, tag)

    @property
    def only(self) -> Repository | None:
        """The one repository that is named, None for a pattern of several."""
        return None if "*" in self.repositories else Repository(self.repositories)


def images_in(text: str, hosts: Sequence[str]) -> Images:
    """Return the pattern `[HOST/]repositories[:tags]`; without tags, all. Raises Fault."""
    for host in hosts:
        text = text.removeprefix(f"{host}/")
    head, slash, tail = text.rpartition("/")
    name, _, tags = tail.partition(":")
    try:
        return Images(check_pattern(f"{head}{slash}{name}"), tags or "*")
    except ValueError as wrong:
        raise Invalid(f"{text[:80]!a} is no pattern of repositories; {wrong}") from None


def names_in(text: str, hosts: Sequence[str]) -> tuple[PullManifest, ...]:
    """Return the images named in these lines; empty ones and `#` comments count for nothing. Raises Fault."""
    found: dict[PullManifest, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if (name := line.strip()) and not name.startswith("#"):
            try:
                found[parse_name(name, hosts)] = None
            except Fault as wrong:
                raise Invalid(f"line {number}: {wrong.message}") from None
    if not found:
        raise Invalid("no image is named: write one a line, such as team/app:1")
    if len(found) > LOOKED_AT:
        raise Invalid(f"more than {LOOKED_AT} images are named: split the list")
    return tuple(found)


def text_of(images: Iterable[Listed]) -> str:
    """Return the list as it is stored, an image a line."""
    return "".join(json.dumps(asdict(each)) + "\n" for each in images)


def list_in(text: str) -> list[Listed]:
    """Return the list that `text_of` wrote."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [
        Listed(
            **{
                **row,
                "status": Status(row["status"]),
                "callers": Callers(row["callers"]["count"], tuple(row["callers"]["names"])),
            }
        )
        for row in rows
    ]
