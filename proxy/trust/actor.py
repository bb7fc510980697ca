"""The person or program that requests a change."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.trust import names, pattern
from proxy.trust.allotment import Rank, rank_of
from proxy.trust.roles import Role


@dataclass(frozen=True)
class Actor:
    """A caller of the admin API, the requester of a job, or this program: its name, its proof, and its permissions.

    `reason` and `request_id` belong to one request: they do not distinguish actors.
    """

    who: str
    how: str
    reason: str = field(default="", compare=False)
    request_id: str = field(default="", compare=False)
    roles: tuple[Role, ...] = ()
    repositories: tuple[str, ...] = ()  # patterns of the repositories this actor may access; none: everything
    token_id: str = ""  # empty without a token

    @property
    def key(self) -> tuple[str, str]:
        """The identity: the id of a token, or a name; with the proof."""
        return (self.token_id or self.who, self.how)

    @property
    def rank(self) -> Rank:
        """The rank for shared quotas; the lowest without roles."""
        return rank_of(self.roles, self.repositories) if self.roles else Rank.SCOPED

    @property
    def on_the_host(self) -> bool:
        """True for a caller on this host's Unix socket."""
        return self.key == ON_THE_HOST.key

    def may_see(self, repository: str) -> bool:
        """True if the repository is within the actor's patterns; "" needs an actor for all repositories."""
        if not self.repositories:
            return True
        return bool(repository) and any(pattern.matches(each, repository) for each in self.repositories)


ON_THE_HOST = Actor(names.ON_THE_HOST, "socket", roles=tuple(Role))
