"""Requirements of Notary formats in policies: a scheme that the token supports, and certificates for the key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.formats.format import Scheme
from proxy.formats.table import FORMATS
from proxy.journal.problem import Problem, ProblemId, Severity
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.policy import Policy


@dataclass(frozen=True)
class Waiting:
    """A profile whose active key has no certificates, although policies name formats that need them.

    `alone` is True if a policy names no other formats: its pushes are refused. `key` is the start of the fingerprint.
    """

    profile: str
    formats: tuple[str, ...]
    alone: bool
    key: str = ""

    @property
    def fix(self) -> str:
        """The commands that give the key certificates."""
        return (
            f"countersign keys csr {self.key} --subject NAME, and when it is issued: "
            f"countersign keys chain set {self.key} FILE --reason TEXT"
        )

    @property
    def says(self) -> str:
        """A description of the problem, for people."""
        return (
            f"the active key of {self.profile} has no certificate chain, so {' and '.join(self.formats)} is not written"
        )


def schemes(profile: str, policies: Iterable[Policy]) -> tuple[Scheme, ...]:
    """Return the schemes in which this profile must sign: always cosign's, because keys prove themselves with it."""
    names = {name for policy in policies if profile in policy.push.sign_with for name in policy.push.formats}
    return ("pkix", "jose") if any(FORMATS[name].scheme == "jose" for name in names) else ("pkix",)


def waiting(policies: Iterable[Policy], ours: Iterable[BookKey]) -> Iterator[Waiting]:
    """Yield the profiles that need certificates for a policy and have none."""
    bare = {k.profile: k for k in reversed([*ours]) if k.state is KeyState.ACTIVE and not k.chain}
    every = list(policies)
    for profile, key in reversed(bare.items()):
        signing = [policy.push.formats for policy in every if profile in policy.push.sign_with]
        wanted = dict.fromkeys(name for formats in signing for name in formats if FORMATS[name].certified)
        if wanted:
            alone = any(formats and all(FORMATS[name].certified for name in formats) for formats in signing)
            yield Waiting(profile, tuple(wanted), alone, key.short)


def chain_problems(policies: Iterable[Policy], ours: Iterable[BookKey]) -> list[Problem]:
    """Return the effects of missing certificates, in the form of `status`."""
    return [
        Problem(
            ProblemId.CHAIN_MISSING,
            each.says,
            "pushes under policies that write nothing else" if each.alone else "nothing; other formats go on",
            each.fix,
            Severity.ERROR if each.alone else Severity.WARNING,
            about=each.profile,
        )
        for each in waiting(policies, ours)
    ]
