"""Rights as a table: for tests of flows that are not about how rights are found out."""

from __future__ import annotations

import base64

from proxy.oci.reference import Repository
from proxy.ports import Credential
from proxy.trust.question import Anonymous, Caller, Named


class TableRights:
    """Names in `proven` count; `pushers` may push (None: everybody). Reading is remembered until `refused`."""

    def __init__(self, proven: frozenset[str] = frozenset(), pushers: frozenset[str] | None = None) -> None:
        self.proven = proven
        self.pushers = pushers
        self.readers: set[tuple[Repository, Credential]] = set()

    async def caller(self, repository: Repository, credential: Credential) -> Caller:
        name = _name(credential)
        return Named(name, "basic") if name in self.proven else Anonymous(name or None)

    async def may_push(self, repository: Repository, credential: Credential) -> bool:
        return self.pushers is None or _name(credential) in self.pushers

    def may_read(self, repository: Repository, credential: Credential) -> bool:
        return (repository, credential) in self.readers

    def confirm_read(self, repository: Repository, credential: Credential) -> None:
        self.readers.add((repository, credential))

    def refused(self, credential: Credential) -> None:
        self.readers = {r for r in self.readers if r[1] != credential}


def _name(credential: Credential) -> str:
    scheme, _, value = (credential.authorization or "").partition(" ")
    return base64.b64decode(value).decode().partition(":")[0] if scheme == "Basic" else ""
