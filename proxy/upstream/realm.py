"""The token endpoint: relays token requests to the realm that upstream's challenge names, and returns its tokens.

A token counts as its user's only if the realm checks passwords: it must refuse the same name, in the same request, with
a random password. The proof holds for one name with one password, so a realm that checks only some requests gives a
guessing caller no proof.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from cachetools import LRUCache, TLRUCache, TTLCache

from proxy.oci.faults import Fault, Unavailable
from proxy.oci.operation import Query
from proxy.registry.ports.upstream import Headers
from proxy.upstream.exchange import Exchange, unavailable
from proxy.upstream.headers import Challenge, is_plain, parse_challenges
from proxy.upstream.location import origin
from proxy.upstream.response import AiohttpResponse
from proxy.upstream.tokens import IssuedTokens, basic, fields, token_in, user_of

TOKEN_PATH = "/-/token"  # noqa: S105  # a path
TOKEN_BYTES = 256 * 1024  # of a whole response; tokens that list many groups are long
PARAMETER_BYTES = 256 * 1024
PARAMETERS = 1_000  # mirrors request one token with a scope for each repository
TOKENS_REMEMBERED = 50_000
PROOF_S = 900.0  # a probe is a failed login: rare enough not to lock an account
LEARNT_S = 600.0
NONE_S = 1.0
HEARD = 1_000  # repositories whose challenge differs from the one at /v2/
REFRESH_S = 24 * 3600.0  # how long the owner of a refresh token is remembered; afterwards its user is anonymous
_ASKED = frozenset({"service", "scope", "account", "client_id", "offline_token", "access_type"})
_POSTED = _ASKED | {"grant_type", "refresh_token", "username", "password"}
_ANSWERED = frozenset({"allow", "cache-control", "content-type", "retry-after", "vary"})
_ANSWERED_EACH = "access-control-"  # CORS headers, for pages of other origins


@dataclass(frozen=True)
class TokenResponse:
    """The realm's response, ready to be relayed."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)


class Realm:
    """Upstream's token realm, learned from its challenges; `allowed` are further origins it may be at."""

    def __init__(
        self, exchange: Exchange, allowed: Sequence[str] = (), *, monotonic: Callable[[], float], name: str = "registry"
    ) -> None:
        """Start without any challenge. Raises ValueError for an allowed origin that is not a URL."""
        self._exchange = exchange
        self._allowed = frozenset({exchange.origin, *(origin(url) for url in allowed)})
        self._now = monotonic
        self._name = name
        self._key = secrets.token_bytes(32)
        self._own: Challenge | None = None  # upstream's challenge to our own request at /v2/
        # A challenge from below a repository is used for that repository only, because callers choose the repository.
        self._heard: LRUCache[str, Challenge] = LRUCache(HEARD)
        self._learnt_at = float("-inf")
        self._issued = IssuedTokens(TOKENS_REMEMBERED, monotonic)
        # Kept separately, so that many anonymous tokens cannot displace named ones.
        self._nameless: TLRUCache[bytes, float] = TLRUCache(
            TOKENS_REMEMBERED, ttu=lambda _key, ends, _now: ends, timer=monotonic
        )
        self._proven: TTLCache[bytes, bool] = TTLCache(TOKENS_REMEMBERED, PROOF_S, timer=monotonic)

    # Challenges

    def relayed(self, headers: Headers, public_url: str) -> Headers:
        """Return the headers of a 401 with every challenge in our name: clients get `Bearer` tokens from us."""
        values = [value for name, value in headers if name.lower() == "www-authenticate"]
        if not values:
            return headers
        found = parse_challenges(values)
        self.heard(found)
        ours = [self._in_our_name(c, public_url) for c in found]
        kept = tuple(pair for pair in headers if pair[0].lower() != "www-authenticate")
        return (*kept, *(("www-authenticate", str(c)) for c in ours if c is not None))

    async def challenge(self, public_url: str, scope: str | None = None) -> str | None:
        """Return the challenge for a 401 of our own, or None if upstream has none. Raises Unavailable."""
        found = await self.learn()
        if found is None:
            return None
        bare = Challenge("bearer", tuple((k, v) for k, v in found.parameters if k == "service"))
        ours = bare.with_realm(public_url.rstrip("/") + TOKEN_PATH)
        return str(ours if scope is None else Challenge("bearer", (*ours.parameters, ("scope", scope))))

    def _in_our_name(self, challenge: Challenge, public_url: str) -> Challenge | None:
        if challenge.scheme == "bearer":
            return challenge.with_realm(public_url.rstrip("/") + TOKEN_PATH)
        if challenge.scheme == "basic":
            return Challenge("basic", (("realm", self._name),))
        return None  # schemes bound to the connection or to other hosts do not work through a proxy

    def heard(self, found: Sequence[Challenge]) -> None:
        """Remember the realm of upstream's challenges, for the repository in their scope."""
        bearer = _bearer(found)
        if bearer is None:
            return
        below = _repository(bearer.get("scope"))
        if _same(bearer, self._own):
            self._heard.pop(below, None)
        else:
            self._heard[below] = bearer

    async def learn(self, pairs: Query = ()) -> Challenge | None:
        """Return the challenge for a token request with these parameters, None if upstream has none.

        Upstream's challenge below that repository has priority, then its response to our own request at `/v2/`, then
        any other challenge seen. Raises Unavailable.
        """
        below = _repository(next((value for key, value in pairs if key == "scope"), None))
        if below and below in self._heard:
            return self._heard[below]
        if self._now() - self._learnt_at > (NONE_S if self._own is None else LEARNT_S):
            response = await self._exchange.send("GET", self._exchange.base + "/v2/", [], again=True)
            self._learnt_at = self._now()
            self._own = _bearer(parse_challenges(response.headers.getall("WWW-Authenticate", [])))
            await AiohttpResponse(response, ()).close()
        if self._own is not None:
            return self._own
        heard = list(self._heard.values())
        return next((c for c in heard if self._wrong(c.get("realm") or "") is None), next(iter(heard), None))

    # Tokens

    async def token(self, method: str, pairs: Query, authorization: str | None, page: Headers = ()) -> TokenResponse:
        """Return the realm's own response to a token request: GET with a query, POST with a form, or OPTIONS.

        `page` holds the browser's headers about the requesting page. Unknown parameters are dropped. Raises Unavailable
        when there is no response, Fault when the request is invalid or upstream has no realm that we may use (docker
        repeats a 503 for a minute, and loses its text).
        """
        known = _POSTED if method == "POST" else _ASKED
        kept = tuple((key, value) for key, value in pairs if key in known)
        size = sum(len(value) for _, value in kept)
        if len(kept) > PARAMETERS or size > PARAMETER_BYTES:
            text = f"token request too large: {len(kept)} parameters with {size} bytes in all"
            text += f"; at most {PARAMETERS} with {PARAMETER_BYTES} are read: ask for fewer scopes at once"
            raise Fault("UNSUPPORTED", text, status=400)
        said = [key for key, _ in kept if key != "scope"]
        if len(set(said)) != len(said) and any(dict(kept)[key] != value for key, value in kept if key != "scope"):
            raise Fault("UNSUPPORTED", "token request says one parameter twice, and differently", status=400)
        if authorization is not None and not is_plain(authorization):
            raise Fault("UNAUTHORIZED", "Authorization header not valid")
        if wrong := await self.misplaced(kept):
            told = "the registry behind this proxy wants the log-in to go somewhere its operator has not listed"
            raise Fault(
                "DENIED", f"{told}; nothing was sent there; ask the operator (countersign doctor)", inside=wrong
            )
        reply = await self.relay(method, kept, authorization, page)
        if reply.status == 200 and method != "OPTIONS":
            await self._remember(method, kept, authorization, reply.body)
        return reply

    async def relay(self, method: str, pairs: Query, authorization: str | None, page: Headers = ()) -> TokenResponse:
        """Return the realm's response and remember nothing. Raises Unavailable; Fault when no realm is known."""
        found = await self.learn(pairs)
        if found is None:
            raise Fault("UNSUPPORTED", "upstream issues no tokens; log in with name and password", status=404)
        url, service = found.get("realm") or "", found.get("service")
        if wrong := self._wrong(url):
            raise Unavailable(wrong)
        if service is not None and not any(key == "service" for key, _ in pairs):
            pairs = (*pairs, ("service", service))
        headers = [*page] if authorization is None else [*page, ("Authorization", authorization)]
        body = urlencode(pairs).encode() if method == "POST" else None
        if body is None:
            url += ("&" if "?" in url else "?") + urlencode(pairs)
        else:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        response = await self._exchange.send(method, url, headers, body, again=True)
        return await self._read(url, response)

    async def _read(self, url: str, response: aiohttp.ClientResponse) -> TokenResponse:
        reply = AiohttpResponse(response, ())
        if 300 <= reply.status < 400:
            await reply.close()
            raise unavailable(url, ValueError("token realm redirects; credentials do not follow"))
        headers = tuple(
            (key, text)
            for key, text in ((key.lower(), text) for key, text in response.headers.items())
            if (key in _ANSWERED or key.startswith(_ANSWERED_EACH)) and is_plain(text)
        )
        body = await reply.read(TOKEN_BYTES, "the token realm's answer")
        size, most = len("Bearer ") + len(token_in(body)[0]), self._exchange.limits.authorization_bytes
        if reply.status == 200 and size > most:
            text = f"the token has {size} bytes, and at most {most} of Authorization are read here"
            text += " (limits.authorization_bytes): ask for fewer scopes at once"
            raise Fault("UNSUPPORTED", text, status=400)
        return TokenResponse(reply.status, headers, body)

    async def misplaced(self, pairs: Query = ()) -> str | None:
        """Return why upstream's realm is not allowed, with the fix, or None. Raises Unavailable."""
        found = await self.learn(pairs)
        return None if found is None else self._wrong(found.get("realm") or "")

    def _wrong(self, url: str) -> str | None:
        """Return None if credentials may be sent there: upstream's scheme, host and port, or a configured origin."""
        with suppress(ValueError):
            if origin(url) in self._allowed and "#" not in url:
                return None
        return (
            f"upstream names {url.partition('?')[0][:120]!a} as its token realm, neither on its own origin nor listed; "
            "no password is sent there: if it is right, the operator adds its origin to upstreams[].realms"
        )

    # Names

    async def _remember(self, method: str, pairs: Query, authorization: str | None, body: bytes) -> None:
        token, life = token_in(body)
        if not token:
            return
        name = await self._name_behind(method, pairs, authorization)
        key, ends = self._mac(token), self._now() + life
        held = self._issued.get(key)
        if name is None or key in self._nameless or (held is not None and held.name != name):
            self._issued.drop(key)  # a token issued to several users names none of them
            self._nameless[key] = ends
            return
        self._issued.put(key, name, ends)
        refresh = fields(body).get("refresh_token")
        if isinstance(refresh, str):
            self._issued.put(self._mac(refresh), name, self._now() + REFRESH_S)

    async def _name_behind(self, method: str, pairs: Query, authorization: str | None) -> str | None:
        """Return the proven user of a token request, if the realm has shown that it checks passwords."""
        given = dict(pairs)
        told = [each for each in (authorization, given.get("password"), given.get("refresh_token")) if each is not None]
        if len(told) != 1:
            return None  # two users in one request: the one the realm accepted is unknown
        if given.get("grant_type") == "refresh_token":
            return self.name_of(given.get("refresh_token", ""))
        if given.get("grant_type") == "password":
            name, proof = given.get("username"), given.get("password", "")
        else:
            name, proof = user_of(authorization), authorization or ""
        if not name or not proof:
            return None
        key = self._mac(f"{name}\0{proof}")
        if key not in self._proven and await self._refuses(method, pairs, name, form="password" in given):
            self._proven[key] = True
        return name if key in self._proven else None

    async def _refuses(self, method: str, pairs: Query, name: str, *, form: bool) -> bool:
        """Return whether the realm refuses the same request with this name and a random password."""
        wrong = secrets.token_urlsafe(24)
        if form:
            pairs = tuple((key, wrong if key == "password" else value) for key, value in pairs)
        with suppress(Unavailable):
            return (await self.relay(method, pairs, None if form else basic(name, wrong))).status in {401, 403}
        return False

    def name_of(self, token: str) -> str | None:
        """Return the proven user of a token that was issued through us, or None."""
        record = self._issued.get(self._mac(token))
        return None if record is None else record.name

    def ends(self, token: str) -> float | None:
        """Return the end (monotonic seconds) of a token issued through us, or None for unknown tokens."""
        record = self._issued.get(self._mac(token))
        return self._nameless.get(self._mac(token)) if record is None else record.ends

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _bearer(found: Sequence[Challenge]) -> Challenge | None:
    return next((c for c in found if c.scheme == "bearer" and c.get("realm")), None)


def _same(one: Challenge, other: Challenge | None) -> bool:
    return other is not None and all(one.get(name) == other.get(name) for name in ("realm", "service"))


def _repository(scope: str | None) -> str:
    """Return the first repository in a token scope, '' for none."""
    kind, _, rest = (scope or "").partition(" ")[0].partition(":")
    return rest.rpartition(":")[0] if kind == "repository" else ""
