"""Attack 34, in texts: addresses, paths, module files, names of tokens and of objects are nobody's business outside.

Whatever is away, everything that a stranger, a pusher and a reader of pages get is searched for them.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_MANIFEST
from proxy.oci.operation import Operation, PullManifest, StartUpload
from proxy.oci.reference import parse_repository, parse_tag, signature_tag
from proxy.registry.handle import handle
from proxy.registry.ports.upstream import Credential
from proxy.registry.reading.refuse import refuse_manifest
from proxy.registry.request import Request, Response
from proxy.server.listeners import public_pages
from proxy.trust import explain
from proxy.trust.question import Anonymous
from proxy.trust.reason import Reason
from proxy.upstream.client import Upstream
from proxy.upstream.location import rewritten
from proxy.upstream.uploads import Uploads
from proxy.web.app import public_app
from tests.worlds.conversation import World, world
from tests.worlds.images import image
from tests.worlds.listener import Spoken, in_memory
from tests.worlds.registry import MemoryRegistry
from tests.worlds.registry_http import serving

APP, NEW = image("app"), image("new")
HOST, MODULE, LABEL = "canary-host.invalid", "/canary/lib/libpkcs11.so", "canary-label"
NEVER = re.compile(
    r"canary|127\.0\.0\.1|localhost|:\d{4,5}\b|object at|\b0x[0-9a-f]{4}|ssl:|Errno|Traceback|<class|postgresql|sqlite",
    re.IGNORECASE,
)
REPO = "/v2/team/app"
ASKED = (
    ("GET", "/v2/"),
    ("GET", f"{REPO}/manifests/v1"),
    ("HEAD", f"{REPO}/manifests/v1"),
    ("GET", f"{REPO}/manifests/{APP.digest}"),
    ("GET", f"{REPO}/manifests/{signature_tag(APP.digest)}"),
    ("GET", f"{REPO}/blobs/{APP.digest}"),
    ("HEAD", f"{REPO}/blobs/{APP.digest}"),
    ("GET", f"{REPO}/referrers/{APP.digest}"),
    ("GET", f"{REPO}/tags/list"),
    ("GET", "/v2/_catalog"),
    ("POST", f"{REPO}/blobs/uploads/"),
    ("GET", f"{REPO}/blobs/uploads/1"),
    ("PUT", f"{REPO}/manifests/v1"),
    ("PUT", f"{REPO}/manifests/{NEW.digest}"),
    ("DELETE", f"{REPO}/manifests/{APP.digest}"),
    ("GET", "/-/token?service=x&scope=repository:team/app:pull"),
    ("GET", "/-/i/team/app:v1"),
    ("GET", "/-/trust/"),
    ("GET", "/-/trust/index.json"),
    ("GET", "/-/d/none"),
    ("GET", "/-/help/not_verifiable"),
)
UPLOAD = StartUpload(parse_repository("a"))
HERE = {"base": "http://127.0.0.1:5000", "asked": "http://127.0.0.1:5000/v2/a"}
FORMS = ("text/html", "application/json", "text/plain")


@asynccontextmanager
async def away(what: str) -> AsyncIterator[World]:
    """A proxy that has an image, and for which this is away."""
    w = await world(limits=Limits(tag_age_s=0, header_timeout_s=2, body_idle_s=2, gather_deadline_s=2))
    await w.push(APP, "team/app", "v1")
    for blob in NEW.blobs:
        w.registry.put_blob("team/app", blob)
    w.ports.cache.bodies.clear()
    w.ports.cache.present.clear()
    async with serving(w.registry) as server:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            url = {
                "registry stopped": closed,
                "name unknown": f"https://{HOST}:8443",
                "tls": server.url.replace("http://", "https://"),
            }.get(what, server.url)
            upstream = Upstream(url, limits=w.ports.limits)
            w.ports = replace(w.ports, registry=upstream)
            if what == "store":
                silence(w)
            if what == "token":
                w.signer.down = f"token release ({MODULE}, {LABEL}): CKR_DEVICE_ERROR in <object at 0x7f00deadbeef>"
            try:
                yield w
            finally:
                await upstream.close()


def silence(w: World) -> None:
    """Have every call to the store fail, as SQLAlchemy says it."""

    async def down(*_: object, **__: object) -> object:
        raise Unavailable("store: connection to postgresql://canary@127.0.0.1:5432 failed <object at 0x7f00deadbeef>")

    for port in (w.store.facts, w.store.ledger, w.store.journal, w.store.unsigned):
        for name in dir(port):
            if asyncio.iscoroutinefunction(getattr(port, name)) and not name.startswith("_"):
                setattr(port, name, down)


@asynccontextmanager
async def asked(w: World) -> AsyncIterator[Spoken]:
    async def handled(op: Operation, caller: Request) -> Response:
        return await handle(op, caller, w.ports)

    assert isinstance(w.ports.registry, Upstream)
    pages = public_pages(lambda: w.ports, w.ports.registry.realm, {})
    async with in_memory(public_app(handled, pages)) as proxy:
        yield proxy


async def answers(proxy: Spoken) -> AsyncIterator[tuple[str, str]]:
    """Yield everything that is answered to everybody, and the pages it leads to."""
    body = NEW.body
    for method, path in ASKED:
        for form in FORMS if path.startswith("/-/") else ("*/*",):
            sends = method == "PUT"
            headers = [f"Accept: {form}", *([f"Content-Type: {OCI_MANIFEST}"] if sends else [])]
            headers.append(f"Content-Length: {len(body) if sends else 0}")
            said = (await proxy.get(path, *headers, method=method, body=body if sends else b"")).decode("latin-1")
            yield f"{method} {path} ({form})", said
            for page in set(re.findall(r"/-/d/[\w-]+", said)):
                for each in FORMS:
                    yield f"{method} {path} -> {page} ({each})", (await proxy.get(page, f"Accept: {each}")).decode()


@pytest.mark.parametrize("what", ["registry stopped", "name unknown", "tls", "store", "token"])
async def test_nothing_of_the_inside_is_told_to_anybody_outside(what: str) -> None:
    seen = 0
    async with away(what) as w, asked(w) as proxy:
        async for question, said in answers(proxy):
            found = NEVER.search(said)
            assert found is None, f"{question}: {found and found[0]!r} in\n{said}"
            seen += any(status in said.split("\r\n", 1)[0] for status in (" 403 ", " 502 ", " 503 "))
    assert seen >= 2  # it was away, and that was told


async def test_operators_read_all_of_it() -> None:
    async with away("registry stopped") as w:
        with pytest.raises(Unavailable) as silent:
            await w.pull("team/app", "v1")
        assert NEVER.search(silent.value.told) is None
        (row,) = [e for e in w.store.journal.events if e.kind.value == "upstream.unavailable"]
        assert "127.0.0.1" in str(row.detail["what"])
        op = PullManifest(parse_repository("team/app"), parse_tag("v1"))
        away_now = (silent.value.what, Anonymous(), Request(Credential(), "r"), w.ports, silent.value.told)
        told = await refuse_manifest(op, Reason.NOT_VERIFIABLE, *away_now)
        assert "could not verify (the registry behind this proxy does not answer)" in told.message
        assert NEVER.search(told.message) is None
        (row,) = [e for e in w.store.journal.events if e.kind.value == "pull.denied"]
        assert "127.0.0.1" in str(row.detail["what"])
        decision = await w.store.journal.decision(row.decision_id)
        assert decision is not None
        assert "127.0.0.1" in explain.text(decision, "countersign", "https://proxy.example")
        assert "127.0.0.1" in json.dumps(explain.as_json(decision))
        assert explain.from_json(explain.as_json(decision)) == decision
        assert NEVER.search(json.dumps(explain.as_json(explain.for_callers(decision)))) is None


@pytest.mark.parametrize(
    "lie",
    [
        lambda: Uploads(HERE["base"], (), b"k").here(f"http://{HOST}/x", parse_repository("a"), HERE["asked"]),
        lambda: rewritten((("location", f"http://{HOST}/x"),), 302, UPLOAD, **HERE),
        lambda: rewritten((("link", f"<http://{HOST}/x>"),), 200, UPLOAD, **HERE),
        lambda: rewritten((("location", "http://canary\\x"),), 200, UPLOAD, **HERE),
    ],
)
def test_where_upstream_points_is_not_told_either(lie: Callable[[], object]) -> None:
    with pytest.raises((Unavailable, Corrupt)) as raised:
        lie()
    assert isinstance(raised.value, Unavailable | Corrupt)
    assert "canary" in raised.value.what
    assert NEVER.search(raised.value.told) is None


async def test_a_realm_elsewhere_is_not_named_to_callers() -> None:
    registry = MemoryRegistry()
    registry.access = replace(registry.access, kind="token", realm=f"http://{HOST}:9/token")
    async with serving(registry) as server:
        registry.access.realm = f"http://{HOST}:9/token"
        upstream = Upstream(server.url)
        try:
            with pytest.raises(Fault) as refused:
                await upstream.realm.token("GET", (("service", "x"),), None)
        finally:
            await upstream.close()
    assert NEVER.search(refused.value.message) is None
    assert HOST in str(refused.value)  # for the log
