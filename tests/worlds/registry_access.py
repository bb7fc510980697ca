"""Who may do what in the in-memory registry: open to all, passwords, or a token server."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from tests.worlds.registry_words import Said, error

Kind = Literal["open", "htpasswd", "token"]


def basic(user: str, password: str) -> str:
    """Return the Authorization value of a name and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Access:
    """The gate of one registry.

    `pushers` limits who may push and delete (None: every user); `anonymous_pull` lets nobody in particular read;
    `lenient` makes a wrong password count as no password at all, as some services do.
    """

    kind: Kind = "open"
    users: Mapping[str, str] = field(default_factory=dict)
    pushers: frozenset[str] | None = None
    anonymous_pull: bool = False
    lenient: bool = False
    service: str = "memory"
    realm: str = "http://upstream.test/token"
    life_s: int = 300
    now: Callable[[], float] = monotonic
    issued: dict[str, tuple[str | None, frozenset[tuple[str, str]], float]] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)

    def refusal(self, authorization: str | None, repository: str | None, action: str) -> Said | None:
        """Return the 401 or 403 that this request deserves, or None."""
        if self.kind == "open":
            return None
        if self.kind == "htpasswd":
            return self._passwords(authorization, action)
        return self._tokens(authorization, repository, action)

    def _passwords(self, authorization: str | None, action: str) -> Said | None:
        user = self._user(authorization)
        if user is None:
            anonymous = authorization is None or self.lenient
            if self.anonymous_pull and anonymous and action == "pull":
                return None
            return self._challenge('Basic realm="memory"')
        return None if self._allowed(user, action) else error(403, "DENIED")

    def _tokens(self, authorization: str | None, repository: str | None, action: str) -> Said | None:
        scope = f',scope="repository:{repository}:{_scope(action)}"' if repository else ""
        challenge = f'Bearer realm="{self.realm}",service="{self.service}"{scope}'
        scheme, _, token = (authorization or "").partition(" ")
        _, grants, ends = self.issued.get(token, (None, frozenset(), 0.0))
        if scheme.lower() != "bearer" or ends <= self.now():
            return self._challenge(challenge)
        if repository is not None and (repository, action) not in grants:
            return self._challenge(challenge + ',error="insufficient_scope"')
        return None

    def token(self, query: tuple[tuple[str, str], ...], authorization: str | None) -> Said:
        """Answer a token request: GET with a query, or POST with a form (the pairs are handed in either way)."""
        pairs = dict(query)
        if pairs.get("grant_type") == "refresh_token":
            user = self.refreshes.get(pairs.get("refresh_token", ""))
            refused = user is None
        else:
            if "password" in pairs:
                authorization = basic(pairs.get("username", ""), pairs["password"])
            user = self._user(authorization)
            refused = user is None and authorization is not None and not self.lenient
        if refused:
            return error(401, "UNAUTHORIZED")
        grants = frozenset(
            (scope.split(":")[1], action)
            for key, scopes in query
            if key == "scope"
            for scope in scopes.split()
            for action in scope.split(":")[2].split(",")
            if self._allowed(user, action)
        )
        token = secrets.token_urlsafe(24)
        self.issued[token] = (user, grants, self.now() + self.life_s)
        body: dict[str, object] = {"token": token, "access_token": token, "expires_in": self.life_s}
        if pairs.get("offline_token") == "true" or pairs.get("access_type") == "offline":
            body["refresh_token"] = secrets.token_urlsafe(24)
            self.refreshes[str(body["refresh_token"])] = user or ""
        return Said(200, (("content-type", "application/json"),), json.dumps(body).encode())

    def _user(self, authorization: str | None) -> str | None:
        return next((n for n, p in self.users.items() if authorization == basic(n, p)), None)

    def _allowed(self, user: str | None, action: str) -> bool:
        if user is None:
            return self.anonymous_pull and action == "pull"
        return action == "pull" or self.pushers is None or user in self.pushers

    def _challenge(self, value: str) -> Said:
        said = error(401, "UNAUTHORIZED")
        return Said(401, (*said.headers, ("www-authenticate", value)), said.body)


def _scope(action: str) -> str:
    return "pull,push" if action == "push" else action
