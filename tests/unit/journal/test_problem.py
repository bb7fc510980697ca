from __future__ import annotations

from proxy.journal.problem import Problem, ProblemId, Severity, counted
from tests.worlds.memory import NOON

ONE = Problem(ProblemId.TOKEN_AWAY, "hsm is away", "pushes", "countersign doctor", since=NOON, about="hsm", server="a")


def test_what_is_shown_has_the_words_of_before_and_what_tells_it_from_others() -> None:
    assert ONE.shown() == {
        "id": "token_away",
        "severity": "error",
        "what": "hsm is away",
        "since": "2026-01-02T12:00:00+00:00",
        "stops": "pushes",
        "next": "countersign doctor",
        "about": "hsm",
        "server": "a",
    }
    about = Problem(ProblemId.EXCEPTION_OPEN, "w", "s", "n", Severity.WARNING, repository="")
    assert (about.shown()["repository"], about.shown()["since"]) == ("", "")


def test_they_are_counted_by_id_and_severity() -> None:
    assert counted([]) == {}
    assert counted([ONE, ONE]) == {("token_away", "error"): 2.0}
