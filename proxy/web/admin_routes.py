"""The routes of the admin API: one table, which requests, documentation and tests are all held against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel

from proxy.trust.roles import Permission
from proxy.web import admin_bodies as bodies
from proxy.web.problems import ROOT

# What may stand in a path, by the name of its place.
PLACES: Mapping[str, str] = MappingProxyType(
    {"profile": r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "fingerprint": r"[0-9a-f]{64}", "id": r"[a-z0-9]{8,20}"}
)


@dataclass(frozen=True)
class Route:
    """One call: who may make it, what it takes in query and body, what it gives. `name` is that of its action."""

    name: str
    method: str
    path: str
    permission: Permission
    says: str
    gives: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the parts of the path that are filled in."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return what is filled in, or None when the path is another one."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda place: f"(?P<{place[1]}>{PLACES[place[1]]})", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


def _key(
    verb: str, place: str, says: str, gives: type[BaseModel] = bodies.KeyShown, body: type[BaseModel] = bodies.Why
) -> Route:
    path = f"{ROOT}/keys/{{{place}}}/{verb}"
    return Route(f"{verb}_key", "POST", path, Permission.CHANGE_KEYS, says, gives, body=body)


ROUTES: tuple[Route, ...] = (
    Route("status", "GET", f"{ROOT}/status", Permission.STATUS, "Whether everything works.", bodies.Status),
    Route("list_keys", "GET", f"{ROOT}/keys", Permission.KEYS, "Our keys and their states.", bodies.Keys, bodies.Page),
    _key("rotate", "profile", "Make a key that signs for this profile from now on.", bodies.Rotation),
    _key("prepare", "profile", "Make a key that verifies, and signs once it is activated."),
    _key("activate", "fingerprint", "Let this prepared key sign from now on.", bodies.Rotation),
    _key("retire", "fingerprint", "Let this key no longer count."),
    _key("compromise", "fingerprint", "Distrust a key that others may have.", body=bodies.Compromise),
    Route(
        "list_tokens", "GET", f"{ROOT}/tokens", Permission.TOKENS,
        "Every admin token there was, oldest first.", bodies.Tokens, bodies.Page,
    ),
    Route(
        "create_token", "POST", f"{ROOT}/tokens", Permission.CHANGE_TOKENS,
        "Make an admin token; the answer is the only place it is ever shown.", bodies.TokenMade, body=bodies.TokenWish,
        status=201,
    ),
    Route(
        "revoke_token", "DELETE", f"{ROOT}/tokens/{{id}}", Permission.CHANGE_TOKENS,
        "End an admin token for good.", bodies.TokenShown,
    ),
    Route("journal", "GET", f"{ROOT}/journal", Permission.JOURNAL, "What happened.", bodies.Rows, bodies.JournalPage),
    Route(
        "reload", "POST", f"{ROOT}/reload", Permission.RELOAD,
        "Read the configuration again; a broken one changes nothing.", bodies.Reloaded,
    ),
    Route(
        "sign", "POST", f"{ROOT}/sign", Permission.SIGN,
        "Sign an image that is upstream already.", bodies.SignedShown, body=bodies.SignWish,
    ),
)  # fmt: skip
