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

    name: str
    authenticated_by: str  # such as `admin-token:ID`, `client-cert:HASH` or `socket`
    reason: str = field(default="", compare=False)
    request_id: str = field(default="", compare=False)
    roles: tuple[Role, ...] = ()
    scope: tuple[str, ...] = ()  # patterns of the repositories this actor may access; none: everything
    token_id: str = ""  # empty without a token

    @property
    def key(self) -> tuple[str, str]:
        """The identity: the id of a token, or a name; with the proof."""
        return (self.token_id or self.name, self.authenticated_by)

    @property
    def rank(self) -> Rank:
        """The rank for shared quotas; the lowest without roles."""
        return rank_of(self.roles, self.scope) if self.roles else Rank.SCOPED

    @property
    def on_the_host(self) -> bool:
        """True for a caller on this host's Unix socket."""
        return self.key == ON_THE_HOST.key

    def may_see(self, repository: str) -> bool:
        """True if the repository is within the actor's patterns; "" needs an actor for all repositories."""
        if not self.scope:
            return True
        return bool(repository) and any(pattern.matches(each, repository) for each in self.scope)


ON_THE_HOST = Actor(names.ON_THE_HOST, "socket", roles=tuple(Role))
