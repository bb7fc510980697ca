"""A whole proxy in memory, and the sentences tests say to it: push, pull, who was told what."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from proxy.keyless.examiner import SigstoreExaminer
from proxy.oci import operation as o
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.reference import Digest, Repository, parse_digest, parse_reference, parse_repository
from proxy.registry.cache import Cache
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential, Rights
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.trust.keys import Trusted
from proxy.trust.policy import Clause, Policy, PolicySet, PullRules, PushRules
from tests.worlds.images import Image
from tests.worlds.memory import MemoryStore, SoftSigner
from tests.worlds.registry import MemoryRegistry, basic
from tests.worlds.rights import TableRights

HOST = "proxy.example"
ANYBODY = Credential()


def user(name: str, password: str = "secret") -> Credential:
    """A caller with a name and a password."""
    return Credential(basic(name, password))


def signed_by(*names: str, at_least: int = 1) -> PullRules:
    """Pull rules with one clause."""
    return PullRules(require=(Clause(names, at_least),))


class Rules:
    """Policies that a test may exchange."""

    def __init__(self, *policies: Policy) -> None:
        self.set(*policies)

    def set(self, *policies: Policy) -> None:
        self._set = PolicySet(hashlib.sha256(repr(policies).encode()).hexdigest(), policies)

    def current(self) -> PolicySet:
        return self._set


SIGN = Policy(("**",), PushRules(sign_with=("release",)), signed_by("release"), contact="#platform-help")


@dataclass
class World:
    """One proxy, its upstream and its stores; sentences below."""

    ports: Ports
    registry: MemoryRegistry
    store: MemoryStore
    signer: SoftSigner
    rules: Rules

    async def say(
        self, op: o.Operation, by: Credential = ANYBODY, body: bytes | None = None, **headers: str
    ) -> Response:
        """Send one operation; raises what the web would turn into a reply."""
        pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        length = None if body is None else len(body)
        return await handle(
            op, Request(by, "request-1", pairs, None if body is None else _once(body), length), self.ports
        )

    async def push(self, image: Image, repo: str, reference: str | None = None, by: Credential = ANYBODY) -> Response:
        """Push blobs and children (by digest), then the manifest, all through the proxy."""
        repository = parse_repository(repo)
        for blob in image.blobs:
            self.registry.put_blob(repo, blob)
        for child in image.children:
            await self.push(child, repo, by=by)
        op = o.PushManifest(repository, parse_reference(reference or image.digest))
        return await self.say(op, by, image.body, content_type=image.media_type)

    def put_behind(self, image: Image, repo: str, *tags: str) -> Digest:
        """Put an image upstream behind the proxy's back."""
        for blob in image.blobs:
            self.registry.put_blob(repo, blob)
        for child in image.children:
            self.put_behind(child, repo)
        return self.registry.put_manifest(repo, image.body, image.media_type, *tags)

    async def pull(self, repo: str, reference: str, by: Credential = ANYBODY, *, head: bool = False) -> Response:
        """Pull a manifest."""
        return await self.say(o.PullManifest(parse_repository(repo), parse_reference(reference), head), by)

    async def look(self, repo: str, reference: str, by: Credential = ANYBODY) -> Response:
        """Look whether a manifest is there, in the form of a client that is about to push one there."""
        op = o.PullManifest(parse_repository(repo), parse_reference(reference), head=True)
        return await self.say(op, by, accept="application/vnd.oci.image.manifest.v1+json, */*")

    async def blob(self, repo: str, digest: str, by: Credential = ANYBODY, *, head: bool = False) -> Response:
        """Pull a blob."""
        return await self.say(o.PullBlob(parse_repository(repo), parse_digest(digest), head), by)

    async def blocked(self, repo: str, reference: str, by: Credential = ANYBODY, *, head: bool = False) -> str:
        """Pull, expect to be blocked, and return the reason."""
        try:
            answer = await self.pull(repo, reference, by, head=head)
        except Fault as fault:
            assert fault.code == "DENIED", fault.message
            assert fault.status == 403
            assert fault.message.startswith("blocked by countersign (not a login problem): "), fault.message
            assert len(fault.message) <= 300
            return str(fault.reason)
        raise AssertionError(f"{repo} {reference} was served: {answer.status}")

    def tag(self, repo: str, tag: str) -> str | None:
        """Return what upstream has under a tag."""
        return self.registry.shelf(repo).tags.get(tag)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def world(
    *policies: Policy,
    registry: MemoryRegistry | None = None,
    trusted: tuple[Trusted, ...] = (),
    rights: Rights | None = None,
    limits: Limits | None = None,
) -> World:
    """Return a proxy with a key `release`, an empty upstream, and these policies (default: sign and enforce)."""
    store, signer = MemoryStore(trusted=trusted), SoftSigner()
    upstream = registry or MemoryRegistry()
    await store.keybook.add(signer.create("release"))
    rules = Rules(*(policies or (SIGN,)))
    bounds = limits or Limits(tag_age_s=0)
    ports = Ports(
        registry=upstream,
        rights=rights or TableRights(),
        signer=signer,
        keyless=SigstoreExaminer(),
        certifier=signer,
        rules=rules,
        keybook=store.keybook,
        ledger=store.ledger,
        facts=store.facts,
        tags=store.tags,
        journal=store.journal,
        overrides=store.overrides,
        unsigned=store.unsigned,
        clock=store.clock,
        limits=bounds,
        cache=Cache(bounds, store.clock.monotonic),
        hosts=(HOST,),
        url=f"https://{HOST}",
    )
    return World(ports, upstream, store, signer, rules)


REPO: Repository = parse_repository("team/app")
