"""One route of the admin API, as a row of its table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from pydantic import BaseModel

from proxy.admin.http_problems import ROOT as ROOT
from proxy.admin.shapes import DryRun
from proxy.trust.roles import Permission

BODY_BYTES = 64 * 1024  # unless a route says otherwise

# What may stand in a path, by the name of its place.
PLACES: Mapping[str, str] = MappingProxyType(
    {
        "profile": r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "fingerprint": r"[0-9a-f]{8,64}",
        "id": r"[a-z0-9]{8,20}",
        "number": r"[0-9]{1,9}",
    }
)


class Scope(Enum):
    """What a call is about, so that tokens for some repositories can be held to those."""

    WHOLE = "the whole proxy"  # such a token may not
    NEUTRAL = "nothing of any repository"  # it may
    ONE = "one repository"  # it may where the call names one of its own
    LIST = "a list"  # it may, and what is not its own is left out


@dataclass(frozen=True)
class Route:
    """One call: who may make it, what it takes in query and body, what it gives. `name` is that of its action.

    With `plans`, `?dry_run=true` changes nothing and is answered with a `Plan`. `scope` is what it is about; unless it
    says otherwise, a token for some repositories only does not open it. With `dual_control`, where dual
    control is on, it is kept and answered with `Held`, and done when a second person agrees.
    """

    name: str
    method: str
    path: str
    permission: Permission
    says: str
    gives: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    plans: bool = False
    body_bytes: int = BODY_BYTES
    scope: Scope = Scope.WHOLE
    dual_control: bool = False

    @property
    def asks(self) -> type[BaseModel] | None:
        """The type of the query."""
        return DryRun if self.plans else self.query

    @property
    def path_params(self) -> tuple[str, ...]:
        """Names of the parts of the path that are filled in."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return what is filled in, or None when the path is another one."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda place: f"(?P<{place[1]}>{PLACES[place[1]]})", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()
