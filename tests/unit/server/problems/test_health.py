"""What `status` says of exceptions and of unsigned pushes: loud until it is over, signed and reviewed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from proxy.journal.problem import Problem, ProblemId, Severity
from proxy.keys.schedule_runner import Failing
from proxy.oci.reference import Tag, parse_repository
from proxy.server.problems.health import kept_by_users, problems_of
from proxy.trust.exception import PolicyException
from tests.worlds.memory import NOON
from tests.worlds.orders import exception


class Well:
    """A signer and a journal that nothing is wrong with."""

    trouble: str | None = None

    @property
    def standby(self) -> Well:
        return self

    failing = standby

    def now(self, *_: object) -> tuple[()]:
        return ()

    def away(self) -> dict[str, tuple[str, datetime]]:
        return {}

    def all_sign(self) -> bool:
        return True


def problems(*exceptions: PolicyException, now: datetime = NOON, owed: int = 0) -> list[Problem]:
    well = cast("Any", Well())
    return problems_of(well, well, None, Path("/c.yaml"), exceptions, now, owed)


def test_an_open_exception_says_until_when_and_how_to_close_it() -> None:
    (problem,) = problems(exception())
    assert problem.what == (
        "open until 2026-01-02T14:00:00+00:00: exception e1 for team/app by ann: the incident of noon"
    )
    assert problem.next == "countersign exceptions close e1 --reason TEXT --config /c.yaml"
    assert problem.repository == "team/app"


def test_one_that_is_over_stays_until_it_was_reviewed() -> None:
    over, closed = exception(), replace(exception(), closed=NOON)
    for each, now in ((over, NOON + timedelta(hours=2)), (closed, NOON)):
        (problem,) = problems(each, now=now)
        assert problem.what.startswith("not reviewed: exception e1")
        assert problem.next == "countersign exceptions review e1 --reason TEXT --config /c.yaml"
    assert problems(replace(closed, reviewed=NOON)) == []


def test_one_about_many_repositories_is_about_no_one_repository() -> None:
    assert problems(exception("team/**"))[0].repository == ""


def test_what_is_due_for_keys_and_fails_stops_nothing() -> None:
    well = cast("Any", Well())
    (problem,) = problems_of(well, well, None, Path("/c.yaml"), failing=Failing(NOON, "token hsm: away"))
    assert (problem.id, problem.severity, problem.since) == (ProblemId.KEY_TIMES, Severity.WARNING, NOON)
    assert problem.what == "a scheduled change of keys failed: token hsm: away"
    assert problem.next == "countersign keys list --config /c.yaml"


def test_what_is_owed_a_signature_is_counted() -> None:
    assert problems() == []
    (problem,) = problems(owed=3)
    assert problem.what.startswith("3 pushed without a signature")
    assert problem.next == "countersign exceptions unsigned --config /c.yaml"


def test_tags_that_users_keep_are_one_problem_however_many_there_are() -> None:
    assert kept_by_users({}, "here") == []
    tags = {
        (parse_repository(f"team/{n}"), Tag(f"sha256-{n:064x}")): NOON + timedelta(hours=n) for n in range(100, 200)
    }
    (problem,) = kept_by_users(tags, "here")
    assert problem.what.count("sha256-") == 5
    assert problem.what.endswith("and 95 more")
    assert (problem.id, problem.severity, problem.server) == (ProblemId.TAGS_KEPT, Severity.WARNING, "here")
    assert problem.since == NOON + timedelta(hours=100)
    assert problem.repository == ""
    assert problem.next.startswith(f"countersign sign team/100@sha256:{100:064x} --reason TEXT")
    ((place, since), *_) = tags.items()
    (one,) = kept_by_users({place: since}, "here")
    assert one.repository == "team/100"
    assert "more" not in one.what
