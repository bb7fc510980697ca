"""Present problems: the start, the effect and the next command of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from proxy.config.advice import init_again, quoted, restore_or_lose
from proxy.journal.problem import Problem, ProblemId, Severity
from proxy.keys.schedule_runner import Failing
from proxy.oci.reference import Repository, Tag
from proxy.server.reload import RESTART
from proxy.tokens.failing import Failing as FailingKey
from proxy.tokens.failover import Failover
from proxy.tokens.signer import TokenSigner
from proxy.trust.exception import PolicyException

_SHOWN = 5  # of similar items
_PUSHES = "pushes that must be signed; pulls go on"


class Written(Protocol):
    """A journal that reports why it cannot be written."""

    trouble: str | None


def problems_of(
    signer: TokenSigner,
    journal: Written,
    refused: tuple[datetime, str] | None,
    path: Path,
    exceptions: Sequence[PolicyException] = (),
    now: datetime | None = None,
    owed: int = 0,
    failing: Failing | None = None,
    server: str = "",
) -> list[Problem]:
    """Return all present problems of signing, journal, reload and exceptions.

    `refused` is the time and reason of the last refused reload, `path` the configuration file. Each unreviewed entry of
    `exceptions`, open or ended, is a problem; `owed` is the number of pushes without a signature. `server` is this
    server's name: some problems are local to it, others concern every server that shares the store.
    """
    found = [_exception(each, now, path) for each in exceptions if each.reviewed is None]
    if owed:
        found.append(
            Problem(
                ProblemId.UNSIGNED_PUSHES,
                f"{owed} pushed without a signature, and not signed yet",
                "pulls of them, except under open exceptions; a job signs them as soon as signing works",
                f"countersign exceptions unsigned --config {quoted(path)}",
            )
        )
    found += _signing(signer, path, server)
    found += [_stood_in(each, path, server) for each in signer.standby.now()]
    if failing is not None:
        found.append(
            Problem(
                ProblemId.KEY_TIMES,
                f"a scheduled change of keys failed: {failing.why}",
                "nothing; the present keys stay in use, and it is tried again",
                f"countersign keys list --config {quoted(path)}",
                Severity.WARNING,
                failing.since,
                server=server,
            )
        )
    if (trouble := journal.trouble) is not None:
        found.append(
            Problem(
                ProblemId.JOURNAL,
                f"the journal cannot be written: {trouble}",
                "denials and pushes, which are recorded first; allowed pulls wait in memory",
                f"countersign doctor --config {quoted(path)}",
                server=server,
            )
        )
    if refused is not None:
        found.append(
            Problem(
                ProblemId.CONFIGURATION,
                f"the configuration was not reloaded: {refused[1]}",
                "nothing; the previous one stays in force",
                "restart countersign serve"
                if RESTART in refused[1]
                else f"countersign config validate --config {quoted(path)}",
                Severity.WARNING,
                refused[0],
                server=server,
            )
        )
    return found


def kept_by_users(tags: Mapping[tuple[Repository, Tag], datetime], server: str) -> list[Problem]:
    """Return one problem for all fallback tags that hold a user's image: our referrers list cannot be written there."""
    if not tags:
        return []
    repositories = {repository for repository, _ in tags}
    some = [f"{repository}:{tag}" for repository, tag in sorted(tags)[:_SHOWN]]
    more = f" and {len(tags) - _SHOWN} more" if len(tags) > _SHOWN else ""
    repository, tag = min(tags)
    return [
        Problem(
            ProblemId.TAGS_KEPT,
            f"foreign content is stored where the list of signatures belongs: {', '.join(some)}{more}",
            "verifiers that read this list from upstream itself; this proxy lists from its record",
            f"countersign sign {repository}@{tag.replace('-', ':', 1)} --reason TEXT "
            "(only once its owner has given that tag up)",
            Severity.WARNING,
            min(tags.values()),
            repository if len(repositories) == 1 else "",
            server=server,
        )
    ]


def _signing(signer: TokenSigner, path: Path, server: str) -> list[Problem]:
    """Return the tokens that do not answer, and the keys that cannot sign on tokens that do."""
    on = signer.standby.all_sign()
    stops, severity = ("nothing: a standby signs", Severity.WARNING) if on else (_PUSHES, Severity.ERROR)
    found = []
    for token, (why, since) in signer.away().items():
        fix = f"countersign doctor --config {quoted(path)}"
        found.append(Problem(ProblemId.TOKEN_AWAY, why, stops, fix, severity, since, about=token, server=server))
    found += [_failing(each, stops, severity, path, server) for each in signer.failing.now(signer.away())]
    return found


def _failing(each: FailingKey, stops: str, severity: Severity, path: Path, server: str) -> Problem:
    if each.key is None:
        kind, about, what = ProblemId.KEY_NOT_MADE, f"{each.profile} on {each.token}", each.why
        fix = init_again(path)
    else:
        kind, about, what = (
            ProblemId.KEY_FAILS,
            each.key,
            f"key {each.key[:12]} of {each.profile} does not sign: {each.why}",
        )
        fix = f"countersign doctor --config {quoted(path)}"
    if each.lost:
        fix = f"countersign doctor --config {quoted(path)}; {restore_or_lose(each.lost, path)}"
    return Problem(kind, what, stops, fix, severity, each.since, about=about, server=server)


def _stood_in(each: Failover, path: Path, server: str) -> Problem:
    instead = f"{each.token}, a standby, signs with its own key" if each.token else "no other does either"
    return Problem(
        ProblemId.STANDBY,
        f"{each.profile}: token {each.first} does not sign ({each.why}); {instead}",
        "nothing, where verifiers have that key too" if each.token else _PUSHES,
        f"countersign doctor --config {quoted(path)}",
        Severity.WARNING if each.token else Severity.ERROR,
        each.since,
        about=each.profile,
        server=server,
    )


def _exception(each: PolicyException, now: datetime | None, path: Path) -> Problem:
    what = f"exception {each.id} for {each.scope} by {each.by}: {each.reason}"
    where = "" if "*" in each.repositories else each.repositories
    if each.closed is None and (now is None or now < each.until):
        return Problem(
            ProblemId.EXCEPTION_OPEN,
            f"open until {each.until.isoformat(timespec='seconds')}: {what}",
            "blocking there: images that policy blocks are served",
            f"countersign exceptions close {each.id} --reason TEXT --config {quoted(path)}",
            Severity.WARNING,
            each.opened,
            where,
            each.id,
        )
    return Problem(
        ProblemId.EXCEPTION_UNREVIEWED,
        f"not reviewed: {what}",
        "nothing any more; what it allowed must be reviewed",
        f"countersign exceptions review {each.id} --reason TEXT --config {quoted(path)}",
        Severity.WARNING,
        each.closed or each.until,
        where,
        each.id,
    )
