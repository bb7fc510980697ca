"""Callers' names and rights: upstream itself is asked, and its answers are cached for a short time.

Credentials are never stored: cache keys are their HMAC with a key of this process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import weakref
from typing import Protocol

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import Operation
from proxy.oci.paths import parse
from proxy.oci.reference import Repository
from proxy.registry.ports.upstream import Credential, Effort, Refusal, Registry, UpstreamResponse
from proxy.registry.reading.recall import Recall
from proxy.registry.reading.resolve import ERROR_BODY
from proxy.registry.single_flight import SingleFlight
from proxy.store.clock import Clock
from proxy.trust.question import Anonymous, Caller, Named

REMEMBERED = 50_000  # permissions by upstream: 17 MiB at most
REFUSED = 5_000  # refusals by upstream: separate, so that strangers displace only strangers
NAME_S = 900.0  # each proof is a failed login at upstream: rare enough not to lock an account
_READ, _PUSH, _WRITE, _NAME = "read", "push", "write", "name"
_REFUSED = frozenset({401, 403})
_LET_IN = frozenset({200, 202, 404})  # 404: admitted, and nothing exists there


class UpstreamTokens(Protocol):
    """Tokens that were issued through our realm."""

    def name_of(self, token: str) -> str | None:
        """Return the proven user of a token, or None."""

    def ends(self, token: str) -> float | None:
        """Return when (monotonic seconds) a token expires, or None if unknown."""


class UpstreamRights:
    """The Rights port: every answer is upstream's own, at most `right_to_read_s` old (a proven name: `NAME_S`)."""

    def __init__(self, registry: Registry, tokens: UpstreamTokens, clock: Clock, limits: Limits) -> None:
        """Start with empty caches."""
        self._registry = registry
        self._tokens = tokens
        self._clock = clock
        self._limits = limits
        self._key = secrets.token_bytes(32)
        self._nobody = hmac.digest(self._key, b"sent:", hashlib.sha256)
        self._latest = weakref.ref(Credential()), b""
        self._allowed = Recall(REMEMBERED, clock.monotonic)
        self._denied = Recall(REFUSED, clock.monotonic)
        self._work: SingleFlight[bool] = SingleFlight()
        self._asking: SingleFlight[Refusal | None] = SingleFlight()
        self._closed_until = 0.0

    async def caller(self, repository: Repository, credential: Credential, effort: Effort = Effort.WRITING) -> Caller:
        """Return `Named` only if the name is proven, else `Anonymous` with the name the caller claimed.

        A Basic name is proven when upstream admits the credential, before and after it refuses the same name with a
        random password. The proof is tried at `/v2/`, then (if `/v2/` is open to all) at the repository's tags, then at
        the start of an upload, as far as `effort` allows. A proof at `/v2/` holds everywhere, any other in its
        repository. A bearer token's user is the one it was issued to through our realm. Never raises: a failure to ask
        is not cached as unproven.
        """
        if credential.ours:
            return Anonymous()
        scheme, _, text = (credential.authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            name = self._tokens.name_of(text.strip())
            return Anonymous() if name is None else Named(name, "token")
        name = _user(scheme, text)
        if name is None:
            return Anonymous()
        places = ((_NAME, ""), (_NAME, repository), (effort.value, repository))
        known = (self._recall(credential, *place) for place in places)
        proven = next((each for each in known if each is not None), None)
        if proven is None and (effort is not Effort.NOTHING or self._closed_until > self._clock.monotonic()):
            key = (self._mac(credential), effort.value, repository)
            try:
                proven = await self._work.do(key, lambda: self._prove(name, repository, credential, effort))
            except (Unavailable, Corrupt, Fault):
                proven = False
        return Named(name, "basic") if proven else Anonymous(name)

    def front_door(self, *, closed: bool) -> None:
        """Remember whether upstream admits a caller without credentials at `/v2/`."""
        self._closed_until = self._clock.monotonic() + NAME_S if closed else 0.0

    async def _prove(self, name: str, repository: Repository, credential: Credential, effort: Effort) -> bool:
        """True when upstream refuses the name with another password, and admits the credential before and after.

        The check afterwards matters: an upstream that briefly refuses everyone (a firewall, a limit on logins) proves
        nothing.
        """
        wrong = Credential(_basic(name, secrets.token_urlsafe(24)))
        proven, where = False, ""
        for request in (ops.CheckApi(), ops.ListTags(repository, 1))[: 1 if effort is Effort.NOTHING else 2]:
            where = "" if isinstance(request, ops.CheckApi) else repository
            if await self._status(request, credential) not in _LET_IN:
                break  # upstream does not accept this credential
            if await self._status(request, wrong) in _REFUSED:
                proven = await self._status(request, credential) in _LET_IN
                break
        else:
            if (
                effort is Effort.WRITING
                and await self.may_push(repository, credential)
                and await self._start(repository, wrong) in _REFUSED
            ):
                proven, where = await self._start(repository, credential) == 202, repository
        if proven:
            self._remember(credential, _NAME, where, value=True, seconds=NAME_S)
        else:
            self._remember(credential, effort.value, repository, value=False, seconds=self._limits.right_to_read_s)
        return proven

    async def may_push(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream accepts the start of an upload (cancelled at once; cached). Raises Unavailable."""
        known = self._recall(credential, _PUSH, repository)
        if known is not None:
            return known
        key = (self._mac(credential), _PUSH, repository)
        return await self._work.do(key, lambda: self._try_push(repository, credential))

    async def _try_push(self, repository: Repository, credential: Credential) -> bool:
        may = await self._start(repository, credential) == 202
        seconds = self._limits.right_to_read_s if may else self._limits.denial_cache_s
        self._remember(credential, _PUSH, repository, value=may, seconds=seconds)
        return may

    async def let_in(self, repository: Repository, credential: Credential) -> Refusal | None:
        """Return None if upstream let this credential write here within `let_in_s`, else its refusal now.

        If unknown, upstream is asked with the start of an upload, cancelled at once. Raises Unavailable.
        """
        if self._recall(credential, _WRITE, repository):
            return None
        key = (self._mac(credential), repository)
        return await self._asking.do(key, lambda: self._ask(repository, credential))

    async def _ask(self, repository: Repository, credential: Credential) -> Refusal | None:
        reply = await self._registry.perform(ops.StartUpload(repository), credential)
        if 200 <= reply.status < 300:
            await reply.close()
            await self._cancel(reply, credential)
            self.confirm_push(repository, credential)
            return None
        if reply.status in _REFUSED:
            self.refused(credential)
        if reply.status < 400 or reply.status >= 500:
            await reply.close()
            raise Unavailable(f"upstream answered {reply.status} to the start of an upload in {repository}")
        body = await reply.read(ERROR_BODY)
        await reply.close()
        return Refusal(reply.status, reply.headers, body)

    def confirm_push(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential start an upload here."""
        for right, seconds in ((_PUSH, self._limits.right_to_read_s), (_WRITE, self._limits.let_in_s)):
            self._remember(credential, right, repository, value=True, seconds=seconds)

    async def _start(self, repository: Repository, credential: Credential) -> int:
        """Start an upload, cancel it, return the start's status. Raises Unavailable for neither yes nor no."""
        reply = await self._registry.perform(ops.StartUpload(repository), credential)
        await reply.close()
        if reply.status == 429 or reply.status >= 500:
            raise Unavailable(f"upstream answered {reply.status} to the start of an upload in {repository}")
        if reply.status == 202:
            await self._cancel(reply, credential)
        return reply.status

    async def _cancel(self, started: UpstreamResponse, credential: Credential) -> None:
        """Cancel the upload. An upstream that refuses the cancellation drops the upload by itself after a while."""
        location = next((value for name, value in started.headers if name == "location"), "")
        path, _, query = location.partition("?")
        try:
            cancelled = await self._registry.perform(parse("DELETE", path, query), credential)
            await cancelled.close()
        except (Fault, Unavailable, Corrupt):
            return

    async def _status(self, operation: Operation, credential: Credential) -> int:
        reply = await self._registry.perform(operation, credential)
        await reply.close()
        if reply.status == 429 or reply.status >= 500:
            raise Unavailable(f"upstream answered {reply.status} when asked who is calling")
        return reply.status

    def knows(self, repository: str, credential: Credential) -> bool:
        """True if upstream let this credential read or write here recently; sends no request."""
        return any(self._recall(credential, right, repository) for right in (_READ, _WRITE, _PUSH))

    def proven(self, credential: Credential) -> str | None:
        """Return the name behind this credential if it is already proven; sends no request."""
        scheme, _, text = (credential.authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.name_of(text.strip())
        name = _user(scheme, text)
        return name if name is not None and self._recall(credential, _NAME, "") else None

    def may_read(self, repository: Repository, credential: Credential) -> bool:
        """True when upstream let this credential read here within the configured time and its token is still valid."""
        return self._recall(credential, _READ, repository) is True

    def confirm_read(self, repository: Repository, credential: Credential) -> None:
        """Remember that upstream just let this credential read here."""
        self._remember(credential, _READ, repository, value=True, seconds=self._limits.right_to_read_s)

    def refused(self, credential: Credential) -> None:
        """Forget everything remembered for this credential: upstream just answered 401 or 403."""
        self._allowed.forget(self._mac(credential))
        self._denied.forget(self._mac(credential))

    def _recall(self, credential: Credential, right: str, repository: str) -> bool | None:
        mac = self._mac(credential)
        if self._allowed.holds(mac, right, repository):
            return True
        return False if self._denied.holds(mac, right, repository) else None

    def _remember(self, credential: Credential, right: str, repository: str, *, value: bool, seconds: float) -> None:
        ends = self._clock.monotonic() + seconds
        scheme, _, text = (credential.authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            ends = min(ends, self._tokens.ends(text.strip()) or ends)
        mac = self._mac(credential)
        told, other = (self._allowed, self._denied) if value else (self._denied, self._allowed)
        other.drop(mac, right, repository)
        told.tell(mac, right, repository, ends)

    def _mac(self, credential: Credential) -> bytes:
        if credential.authorization is None and not credential.ours:
            return self._nobody
        latest, mac = self._latest
        if latest() is not credential:  # one request asks several times with the same credential
            mac = self._fresh_mac(credential)
            self._latest = weakref.ref(credential), mac  # weak: the credential is freed with its request
        return mac

    def _fresh_mac(self, credential: Credential) -> bytes:
        told = b"ours" if credential.ours else b"sent:" + (credential.authorization or "").encode("utf-8", "replace")
        return hmac.digest(self._key, told, hashlib.sha256)


def _user(scheme: str, text: str) -> str | None:
    """Return the name in a Basic value, or None (RFC 7617).

    Only the one spelling that every server reads alike counts: with other spellings (another case of the scheme, an
    extra space, no password after the name) upstream may admit the caller as anonymous, and refuse the name when it is
    probed.
    """
    if scheme != "Basic":
        return None
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return name if name and password and _basic(name, password) == f"Basic {text}" else None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
