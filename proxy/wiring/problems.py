"""What does not work now: since when, what it stops, and the next command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from proxy.trust.exception import PolicyException
from proxy.wiring.keytimes import Failing
from proxy.wiring.signer import TokenSigner
from proxy.wiring.standby import StandIn

_PUSHES = "pushes that must be signed; pulls go on"


class Written(Protocol):
    """A journal that says why it cannot be written."""

    trouble: str | None


def problems_of(
    signer: TokenSigner,
    journal: Written,
    refused: tuple[str, str] | None,
    path: Path,
    exceptions: Sequence[PolicyException] = (),
    now: datetime | None = None,
    owed: int = 0,
    failing: Failing | None = None,
) -> list[dict[str, str]]:
    """Return everything that is wrong. `refused` is when and why the last reload was, `path` the configuration.

    Of `exceptions`, those that are open and those that nobody has reviewed; `owed` is how many pushes are not signed.
    """
    found = [_exception(each, now) for each in exceptions if each.reviewed is None]
    if owed:
        found.append(
            {
                "what": f"{owed} pushed without a signature, and not signed yet",
                "stops": "pulls of them, but for open exceptions; a job signs them as soon as signing works",
                "next": "countersign exceptions unsigned",
            }
        )
    if (why := signer.health()) is not None:
        found.append(
            {
                "what": why,
                "since": _moment(signer.ill_since),
                "stops": "nothing, as others stand by" if signer.standby.all_sign() else _PUSHES,
                "next": f"countersign doctor --config {path}",
            }
        )
    found += [_stood_in(each, path) for each in signer.standby.now()]
    if failing is not None:
        found.append(
            {
                "what": f"what was due for keys could not be done: {failing.why}",
                "since": _moment(failing.since),
                "stops": "nothing; the keys from before go on, and it is tried again",
                "next": f"countersign keys list --config {path}",
            }
        )
    if (trouble := journal.trouble) is not None:
        found.append(
            {
                "what": f"the journal cannot be written: {trouble}",
                "stops": "denials and pushes, which are recorded first; allowed pulls wait in memory",
                "next": f"countersign doctor --config {path}",
            }
        )
    if refused is not None:
        found.append(
            {
                "what": f"the configuration was not reloaded: {refused[1]}",
                "since": refused[0],
                "stops": "nothing; the one from before is in force",
                "next": f"countersign config validate --config {path}",
            }
        )
    return found


def _stood_in(each: StandIn, path: Path) -> dict[str, str]:
    instead = f"{each.token}, which stands by, signs with a key of its own" if each.token else "no other does either"
    return {
        "what": f"{each.profile}: token {each.first} does not sign ({each.why}); {instead}",
        "since": _moment(each.since),
        "stops": "nothing, where verifiers have that key too" if each.token else _PUSHES,
        "next": f"countersign doctor --config {path}",
    }


def _exception(each: PolicyException, now: datetime | None) -> dict[str, str]:
    what = f"exception {each.id} for {each.scope} by {each.by}: {each.reason}"
    about = "" if "*" in each.repositories else each.repositories
    if each.closed is None and (now is None or now < each.until):
        return {
            "what": f"open until {_moment(each.until)}: {what}",
            "since": _moment(each.opened),
            "stops": "blocking there: what policy forbids is let through",
            "next": f"countersign exceptions close {each.id} --reason TEXT",
            "repository": about,
        }
    return {
        "what": f"not reviewed: {what}",
        "since": _moment(each.closed or each.until),
        "stops": "nothing any more; somebody has to look at what it let through",
        "next": f"countersign exceptions review {each.id} --note TEXT",
        "repository": about,
    }


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="seconds")
