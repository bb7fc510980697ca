"""Rights as a table, for tests of flows that are not about how rights are found out; tokens, for those that are."""

from __future__ import annotations

import base64

from proxy.oci.reference import Repository
from proxy.registry.ports.upstream import Credential, Effort, Refusal
from proxy.trust.question import Anonymous, Caller, Named


class NoTokens:
    """Nobody logged in through us: no token was issued here."""

    def name_of(self, _token: str) -> str | None:
        return None

    def ends(self, _token: str) -> float | None:
        return None


class TableRights:
    """Names in `proven` count; `pushers` may push (None: everybody). Reading is remembered until `refused`."""

    def __init__(self, proven: frozenset[str] = frozenset(), pushers: frozenset[str] | None = None) -> None:
        self.names = proven
        self.pushers = pushers
        self.refusal: Refusal | None = None  # what upstream says to a push of who is no pusher, when asked first
        self.started: list[tuple[Repository, Credential]] = []
        self.readers: set[tuple[Repository, Credential]] = set()

    def front_door(self, *, closed: bool) -> None:
        """Nothing depends on it here."""

    async def caller(self, repository: Repository, credential: Credential, effort: Effort = Effort.WRITING) -> Caller:
        name = _name(credential)
        return Named(name, "basic") if name in self.names else Anonymous(name or None)

    async def may_push(self, repository: Repository, credential: Credential) -> bool:
        return self.pushers is None or _name(credential) in self.pushers

    async def let_in(self, repository: Repository, credential: Credential) -> Refusal | None:
        return None if self.refusal is None or await self.may_push(repository, credential) else self.refusal

    def confirm_push(self, repository: Repository, credential: Credential) -> None:
        self.started.append((repository, credential))

    def knows(self, repository: str, credential: Credential) -> bool:
        return any(reader == (repository, credential) for reader in self.readers)

    def proven(self, credential: Credential) -> str | None:
        name = _name(credential)
        return name if name in self.names else None

    def may_read(self, repository: Repository, credential: Credential) -> bool:
        return (repository, credential) in self.readers

    def confirm_read(self, repository: Repository, credential: Credential) -> None:
        self.readers.add((repository, credential))

    def refused(self, credential: Credential) -> None:
        self.readers = {r for r in self.readers if r[1] != credential}


def _name(credential: Credential) -> str:
    scheme, _, value = (credential.authorization or "").partition(" ")
    return base64.b64decode(value).decode().partition(":")[0] if scheme == "Basic" else ""
