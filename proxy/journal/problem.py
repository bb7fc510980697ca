"""Current problems as values: the common source of status, doctor, metrics, log and journal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProblemId(StrEnum):
    """The kinds of problems: a closed set, so that they can be labels of a metric and keys of an alert."""

    UPSTREAM = "upstream"
    ACCOUNT = "account"
    TOKEN_AWAY = "token_away"  # noqa: S105  a kind of problem
    KEY_FAILS = "key_fails"
    KEY_NOT_MADE = "key_not_made"
    STANDBY = "standby"
    KEY_TIMES = "key_times"
    CHAIN_MISSING = "chain_missing"
    UNSIGNED_PUSHES = "unsigned_pushes"
    EXCEPTION_OPEN = "exception_open"
    EXCEPTION_UNREVIEWED = "exception_unreviewed"
    JOURNAL = "journal"
    CONFIGURATION = "configuration"
    POLICIES = "policies"
    BOOKS = "books"
    TAGS_KEPT = "tags_kept"
    REVOCATION_LIST = "revocation_list"
    ENDED = "ended"


class Severity(StrEnum):
    """`error` stops something now, `warning` does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One problem: `stops` is the function that is interrupted, `next` the next command.

    `about` distinguishes problems of one kind (a token, a key, an exception). `repository` is the one repository
    concerned, empty for several, None if it concerns none. `server` is the affected server, empty for all that share
    the store.
    """

    id: ProblemId
    what: str
    stops: str
    next: str
    severity: Severity = Severity.ERROR
    since: datetime | None = None
    repository: str | None = None
    about: str = ""
    server: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity of the problem from its beginning to its end, whatever its text says meanwhile."""
        return self.id.value, self.about, self.server

    def shown(self) -> dict[str, str]:
        """Return the problem as `status` and the admin API show it."""
        found = {
            "id": self.id.value,
            "severity": self.severity.value,
            "what": self.what,
            "since": "" if self.since is None else self.since.isoformat(timespec="seconds"),
            "stops": self.stops,
            "next": self.next,
            "about": self.about,
            "server": self.server,
        }
        return found if self.repository is None else {**found, "repository": self.repository}


def counted(problems: Iterable[Problem]) -> dict[tuple[str, ...], float]:
    """Return the number of problems by id and severity."""
    found = Counter((each.id.value, each.severity.value) for each in problems)
    return {labels: float(count) for labels, count in found.items()}
