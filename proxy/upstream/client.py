"""The upstream registry as the flows use it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import replace
from math import inf
from secrets import token_bytes
from time import monotonic as real_monotonic

import aiohttp

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import Operation
from proxy.oci.paths import render
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi, UpstreamResponse
from proxy.upstream.exchange import Exchange
from proxy.upstream.headers import from_upstream, is_plain, parse_challenges, to_upstream
from proxy.upstream.location import origin, rewritten
from proxy.upstream.realm import Realm
from proxy.upstream.referrers import ReferrersMode, ReferrersProbe
from proxy.upstream.response import AiohttpResponse
from proxy.upstream.service_account import ServiceAccount
from proxy.upstream.uploads import KEY_BYTES, Target, Uploads

_READS = (ops.CheckApi, ops.ListRepositories, ops.ListTags, ops.ListReferrers, ops.PullManifest, ops.PullBlob)
_REPEATABLE = (*_READS, ops.UploadStatus, ops.StartUpload, ops.Options)


class Upstream:
    """The registry port over HTTP. `realm` is upstream's token realm; the public token endpoint relays to it."""

    def __init__(
        self,
        url: str,
        *,
        credentials: tuple[str, str] | None = None,
        ca_file: str | None = None,
        client_cert: tuple[str, str] | None = None,
        limits: Limits | None = None,
        realms: Sequence[str] = (),
        blob_origins: Sequence[str] = (),
        upload_origins: Sequence[str] = (),
        uploads_key: bytes | None = None,
        name: str = "registry",
        referrers: ReferrersMode = "auto",
        monotonic: Callable[[], float] = real_monotonic,
    ) -> None:
        """Connect to nothing yet.

        `credentials` are ours (name, password), `client_cert` two files (certificate, key), `realms` the origins that
        may issue tokens besides upstream's own, `blob_origins` those that may hold its blobs, `upload_origins` those
        that uploads may go on at, `uploads_key` what addresses of uploads are sealed with (one of this process alone
        where there is none), `name` what clients see in a request for a password, `referrers` whether it has that API,
        `auto` to find out. Raises ValueError for URLs that are not plain, OSError or ssl.SSLError for files that do
        not load.
        """
        self._exchange = Exchange(url, limits or Limits(), ca_file=ca_file, client_cert=client_cert)
        self._blob_origins = frozenset({self._exchange.origin, *(origin(each) for each in blob_origins)})
        self._uploads = Uploads(self._exchange.base, upload_origins, uploads_key or token_bytes(KEY_BYTES))
        self.realm = Realm(self._exchange, realms, monotonic=monotonic, name=name)
        self._ours = None if credentials is None else ServiceAccount(self.realm, *credentials, monotonic)
        ours = credentials is not None
        self._probe = ReferrersProbe(self._looked, ours=ours, manner=referrers, monotonic=monotonic)

    async def perform(
        self,
        operation: Operation,
        credential: Credential,
        *,
        headers: Headers = (),
        body: bytes | AsyncIterable[bytes] | None = None,
        length: int | None = None,
        transfer: bool = False,
    ) -> AiohttpResponse:
        """Send one operation and return the response, whatever its status.

        Raises Unavailable when there is no response or when it would lead clients around us, Fault UNAUTHORIZED for an
        Authorization header that is not printable.
        """
        response = await self._asked(operation, credential, headers, body, length, transfer=transfer)
        given = from_upstream(response.headers.items())
        try:
            answered = self._here(given, response.status, operation)
        except BaseException:
            response.close()
            raise
        return AiohttpResponse(response, answered)

    def _here(self, headers: Headers, status: int, operation: Operation) -> Headers:
        """Return the headers with every address rewritten to one of ours."""
        to = self._target(operation)
        if isinstance(operation, ops.StartUpload | ops.Upload) and status != 201 and not 300 <= status < 400:
            onward = (
                (name, self._uploads.here(value, operation.repository, to.url) if name == "location" else value)
                for name, value in headers
                if to.own or name != "www-authenticate"  # upstream must not get credentials another origin asks for
            )
            return tuple(onward)
        return rewritten(headers, status, operation, base=self._exchange.base, asked=to.url)

    def _target(self, operation: Operation) -> Target:
        if isinstance(operation, ops.Options):
            return replace(self._target(operation.of), method="OPTIONS")
        if isinstance(operation, ops.Upload):
            return self._uploads.target(operation)
        method, path = render(operation)
        return Target(method, self._exchange.base + path, own=True)

    async def _looked(self, operation: Operation, credential: Credential, headers: Headers) -> AiohttpResponse:
        """Return the response unmodified, for probes to which even a redirect is an answer."""
        response = await self._asked(operation, credential, headers)
        return AiohttpResponse(response, from_upstream(response.headers.items()))

    async def _asked(
        self,
        operation: Operation,
        credential: Credential,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None = None,
        length: int | None = None,
        *,
        transfer: bool = False,
    ) -> aiohttp.ClientResponse:
        authorization = credential.authorization
        if credential.ours:
            authorization = await self._ours.authorization(operation) if self._ours else None
        response = await self._send(operation, authorization, headers, body, length, transfer=transfer)
        again = body is None or isinstance(body, bytes)
        if response.status == 401 and credential.ours and self._ours is not None and again:
            asked = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            self.realm.heard(asked)
            renewed = await self._ours.renewed(operation, asked)
            if renewed is not None:
                await AiohttpResponse(response, ()).close()
                response = await self._send(operation, renewed, headers, body, length, transfer=transfer)
        if credential.ours and self._ours is not None:
            self._ours.answered(response.status)
        return response

    async def _send(
        self,
        operation: Operation,
        authorization: str | None,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        length: int | None,
        *,
        transfer: bool,
    ) -> aiohttp.ClientResponse:
        to = self._target(operation)
        sent = to_upstream(headers)
        if authorization is not None and to.own:
            if not is_plain(authorization):
                raise Fault("UNAUTHORIZED", "Authorization header not valid: it is not printable ASCII")
            sent.append(("authorization", authorization))
        again = _may_repeat(operation)
        response = await self._exchange.send(
            to.method, to.url, sent, body, length=length, again=again, transfer=transfer
        )
        try:
            _fits(response.status, sent)
        except BaseException:
            response.close()
            raise
        return response

    async def follow(self, reply: UpstreamResponse) -> AiohttpResponse:
        """Return the content a redirected blob response points to, fetched without any credential.

        Object storage is contacted only if the configuration lists its origin: otherwise the registry could send us
        anywhere. Raises Unavailable for other origins, and for a second redirect.
        """
        target = next((value for name, value in reply.headers if name == "location"), "")
        await reply.close()
        if target.startswith("/v2/"):
            target = self._exchange.base + target
        try:
            asked = origin(target)
        except ValueError as odd:
            raise Unavailable(f"upstream redirects to {target[:80]!a}: {odd}") from odd
        if asked not in self._blob_origins:
            raise Unavailable(
                f"upstream keeps this blob at {asked}, which we may not ask; add it to upstreams[].blob_origins"
            )
        response = await self._exchange.send("GET", target, [], again=True)
        found = AiohttpResponse(response, from_upstream(response.headers.items()))
        if 300 <= found.status < 400:
            await found.close()
            raise Unavailable(f"{asked} redirects again; a blob is followed once")
        return found

    async def referrers_api(self, repository: Repository, subject: Digest, credential: Credential) -> ReferrersApi:
        """Return whether this repository has the referrers API, probed with our own account if that may read.

        Raises Unavailable when a retry may help.
        """
        return await self._probe.look(repository, subject, credential)

    async def referrers_answer(self, repository: Repository, subject: Digest) -> ReferrersApi | None:
        """Return upstream's answer to our own account about a digest, never from memory. Raises Unavailable."""
        return await self._probe.answer(repository, subject, Credential(ours=True))

    @property
    def silent(self) -> str | None:
        """Why upstream did not answer the last request, None if it did."""
        return self._exchange.silent

    @property
    def account_refused(self) -> str | None:
        """Why upstream refuses our own account; None if there is none, or if upstream accepted it last time."""
        return self._ours.refused if self._ours else None

    @property
    def account_refused_at(self) -> float:
        """When upstream last refused our account, in seconds of the monotonic clock; -inf if never."""
        return self._ours.refused_at if self._ours else -inf

    def renew_password(self, password: str) -> bool:
        """Use this password for our account from now on; False if there is no account or the password is unchanged."""
        return self._ours is not None and self._ours.renew(password)

    async def certificate(self) -> bytes | None:
        """Return the certificate (DER) that upstream presents now, None over plain HTTP. Raises Unavailable."""
        return await self._exchange.certificate()

    async def close(self) -> None:
        """Close every connection."""
        await self._exchange.close()


def _may_repeat(operation: Operation) -> bool:
    """True for operations that may be sent twice after a dead kept connection: reads, and starts of upload sessions."""
    return isinstance(operation, _REPEATABLE)


def _fits(status: int, sent: list[tuple[str, str]]) -> None:
    """Raise Corrupt for a status that this request cannot produce (RFC 9110 §15)."""
    names = {name for name, _ in sent}
    asked = {304: {"if-none-match", "if-match", "if-modified-since"}, 206: {"range"}}
    if status < 200 or (status in asked and not asked[status] & names):
        raise Corrupt(f"upstream answered {status} to a request that did not ask for it")
