"""A registry with the manners of another, as a program: `python manners_server.py UPSTREAM MANNER...`.

It passes requests on to a plain registry and changes what that registry would never do by itself. Each manner is one
function with a name, and says who behaves like that, with the public report where there is one.
"""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import ClientSession, DummyCookieJar, web
from multidict import CIMultiDict
from yarl import URL

HOP = frozenset({"connection", "transfer-encoding", "content-length", "expect", "host"})
KINDS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2")
)
MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/?]+)")


@dataclass
class Asked:
    """A request on its way to the plain registry; `method` and `path` may be changed."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    outside: Outside

    @property
    def manifest(self) -> re.Match[str] | None:
        """The parts of the path, where it is that of a manifest."""
        return MANIFEST.match(self.path)


@dataclass
class Said:
    """An answer; every part of it may be changed."""

    status: int
    headers: CIMultiDict[str]
    body: bytes = b""


@dataclass
class Outside:
    """The plain registry, and where this one is."""

    base: str
    session: ClientSession
    port: int = 0
    asides: list[str] = field(default_factory=list)  # requests that came to the second origin

    async def ask(self, method: str, path: str, headers: CIMultiDict[str], body: bytes | None) -> Said:
        """What the plain registry answers."""
        url = URL(self.base + path, encoded=True)
        async with self.session.request(method, url, headers=headers, data=body, allow_redirects=False) as reply:
            data = await reply.read()
            kept = CIMultiDict((name, value) for name, value in reply.headers.items() if name.lower() not in HOP)
            if "Location" in kept:
                kept["Location"] = re.sub(r"^https?://[^/]+", "", kept["Location"])
            if method == "HEAD" and "Content-Length" in reply.headers:
                kept["Content-Length"] = reply.headers["Content-Length"]
            return Said(reply.status, kept, data)

    async def digest(self, name: str, reference: str) -> str | None:
        """What the plain registry has under that reference."""
        found = await self.ask("HEAD", f"/v2/{name}/manifests/{reference}", CIMultiDict({"Accept": KINDS}), None)
        return found.headers.get("Docker-Content-Digest") if found.status == 200 else None


Before = Callable[[Asked], Awaitable[Said | None]]
After = Callable[[Asked, Said], None]
BEFORE: dict[str, Before] = {}
AFTER: dict[str, After] = {}


def before(name: str) -> Callable[[Before], Before]:
    """A manner that sees each request first, and may change or answer it."""
    return lambda manner: BEFORE.setdefault(name, manner)


def after(name: str) -> Callable[[After], After]:
    """A manner that changes answers."""
    return lambda manner: AFTER.setdefault(name, manner)


def refusal(status: int, code: str, message: str) -> Said:
    """An error as the specification has it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Said(status, CIMultiDict({"Content-Type": "application/json"}), body)


def moved(pattern: str, into: str) -> tuple[Before, After]:
    """Uploads go on at other paths: `pattern` finds theirs, `into` is how they are written."""

    async def back(asked: Asked) -> Said | None:
        found = re.fullmatch(pattern, asked.path.partition("?")[0])
        if found:
            query = asked.path.partition("?")[2]
            name = found["name"].replace("%2F", "/")
            asked.path = f"/v2/{name}/blobs/uploads/{found['id']}" + (f"?{query}" if query else "")
        return None

    def forth(_: Asked, said: Said) -> None:
        found = re.match(
            r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>[^/?]+)(?P<query>.*)", said.headers.get("Location", "")
        )
        if found:
            name = found["name"] if "/v2/" in into else found["name"].replace("/", "%2F")
            said.headers["Location"] = into.format(name=name, id=found["id"]) + found["query"]

    return back, forth


# GHCR: "/v2/<name>/blobs/upload/<id>" (hpc/charliecloud 1501, apple/swift-container-plugin 43).
BEFORE["uploads-ghcr"], AFTER["uploads-ghcr"] = moved(
    r"/v2/(?P<name>.+)/blobs/upload/(?P<id>[^/?]+)", "/v2/{name}/blobs/upload/{id}"
)
# Google Artifact Registry: outside of /v2/, the name escaped (gitpod-io/gitpod 10214).
BEFORE["uploads-google"], AFTER["uploads-google"] = moved(
    r"/artifacts-uploads/namespaces/p/repositories/(?P<name>.+)/uploads/(?P<id>[^/?]+)",
    "/artifacts-uploads/namespaces/p/repositories/{name}/uploads/{id}",
)


@after("uploads-long-state")
def _long(_: Asked, said: Said) -> None:
    """Cloud storage behind a registry keeps its state in the address: three kilobytes of it are seen."""
    if "/uploads/" in said.headers.get("Location", ""):
        glue = "&" if "?" in said.headers["Location"] else "?"
        said.headers["Location"] += f"{glue}upload_token={'t' * 3000}"


@after("uploads-other-name")
def _named(_: Asked, said: Said) -> None:
    """`http.host` of distribution, or no X-Forwarded headers: it calls itself otherwise (distribution 2225)."""
    if "Location" in said.headers:
        said.headers["Location"] = "https://registry.example.com" + said.headers["Location"]


@after("uploads-other-origin")
def _aside(asked: Asked, said: Said) -> None:
    """Bytes go to a service of their own, whose address is sealed already: no password is wanted there."""
    if "/uploads/" in said.headers.get("Location", ""):
        said.headers["Location"] = f"http://localhost:{asked.outside.port}{said.headers['Location']}"


def referrers(status: int, kind: str, body: bytes = b"", **headers: str) -> Before:
    """What is answered where the referrers API would be."""

    async def answer(asked: Asked) -> Said | None:
        if not re.match(r"/v2/.+/referrers/", asked.path):
            return None
        return Said(status, CIMultiDict({"Content-Type": kind, **headers}), body)

    return answer


# GHCR 303 (artifacthub/hub 4785), Artifactory 406 (google/go-containerregistry 1962), another type (oras-go 633, 635),
# Harbor 2.7 401 without a challenge (goharbor/harbor 18305); 400, 405 and 501 from gateways.
BEFORE["referrers-html"] = referrers(200, "text/html", b"<html>no such page</html>")
BEFORE["referrers-303"] = referrers(303, "text/html", Location="/login")
BEFORE["referrers-400"] = referrers(400, "application/json", b'{"errors":[{"code":"UNSUPPORTED"}]}')
BEFORE["referrers-401"] = referrers(401, "text/plain")
BEFORE["referrers-405"] = referrers(405, "text/plain")
BEFORE["referrers-406"] = referrers(406, "text/plain")
BEFORE["referrers-501"] = referrers(501, "text/plain")


@before("dash-is-digest")
async def _gitlab(asked: Asked) -> Said | None:
    """GitLab reads the tag sha256-<hex> of a GET or HEAD as the digest (oras-project/oras-go 1396)."""
    found = asked.manifest
    if found and asked.method in ("GET", "HEAD") and re.fullmatch(r"sha256-[0-9a-f]{64}", found["reference"]):
        asked.path = f"/v2/{found['name']}/manifests/{found['reference'].replace('-', ':')}"
    return None


@before("immutable-tags")
async def _immutable(asked: Asked) -> Said | None:
    """A tag that exists is not overwritten: ECR and others, where so configured (sigstore/cosign 313, harbor 17332)."""
    found = asked.manifest
    if not found or asked.method != "PUT" or ":" in found["reference"]:
        return None
    there = await asked.outside.digest(found["name"], found["reference"])
    if there in (None, "sha256:" + hashlib.sha256(asked.body).hexdigest()):
        return None
    return refusal(400, "TAG_INVALID", f"tag '{found['reference']}' cannot be overwritten because it is immutable")


@before("no-head")
async def _no_head(asked: Asked) -> Said | None:
    """No HEAD of manifests: seen behind gateways that let GET through only."""
    return Said(405, CIMultiDict()) if asked.method == "HEAD" and asked.manifest else None


@before("no-single-post")
async def _no_post(asked: Asked) -> Said | None:
    """A POST with bytes begins a session, as if there were none (distribution 2.8)."""
    if asked.method == "POST" and "digest=" in asked.path:
        asked.path, asked.body = asked.path.partition("?")[0], b""
    return None


@before("no-mount")
async def _no_mount(asked: Asked) -> Said | None:
    """A mount begins an ordinary upload: what the specification asks of registries that cannot."""
    if asked.method == "POST" and "mount=" in asked.path:
        asked.path = asked.path.partition("?")[0]
    return None


@after("no-digest-header")
def _untold(asked: Asked, said: Said) -> None:
    """No Docker-Content-Digest: the specification leaves it open."""
    if asked.manifest:
        said.headers.pop("Docker-Content-Digest", None)


@after("plain-type")
def _plain(asked: Asked, said: Said) -> None:
    """Manifests are sent as text/plain or octet-stream: static files and gateways do (moby/moby 31318)."""
    if asked.manifest and asked.method in ("GET", "HEAD") and said.status == 200:
        said.headers["Content-Type"] = "application/octet-stream"


@after("tags-unsorted")
def _unsorted(asked: Asked, said: Said) -> None:
    """Tags come in any order, all of them, whatever `n` and `last` say."""
    if re.fullmatch(r"/v2/.+/tags/list(\?.*)?", asked.path) and said.status == 200:
        listed = json.loads(said.body)
        listed["tags"] = sorted(listed.get("tags") or [], key=lambda tag: hashlib.sha256(tag.encode()).digest())
        said.body = json.dumps(listed).encode()
        said.headers.pop("Link", None)


@before("tags-unsorted")
async def _all_of_them(asked: Asked) -> Said | None:
    if re.fullmatch(r"/v2/.+/tags/list\?.*", asked.path):
        asked.path = asked.path.partition("?")[0]
    return None


TAGS = re.compile(r"/v2/(?P<name>.+)/tags/list(\?(?P<query>.*))?")


def tag_pages(most: int, link: str, *, last: bool = True) -> Before:
    """Tags in pages of at most so many, each with such a link to the next one (or with none)."""

    async def answer(asked: Asked) -> Said | None:
        found = TAGS.fullmatch(asked.path)
        if found is None:
            return None
        plain = f"/v2/{found['name']}/tags/list"
        said = await asked.outside.ask("GET", plain, CIMultiDict(asked.headers), None)
        if said.status != 200:
            return said
        query = dict(parse_qsl(found["query"] or ""))
        tags = sorted(json.loads(said.body)["tags"] or [])
        at = int(query.get("token", 0))
        if last and "last" in query:
            at = bisect.bisect_right(tags, query["last"])
        end = at + min(int(query.get("n", most)), most)
        said.body = json.dumps({"name": found["name"], "tags": tags[at:end]}).encode()
        if link and end < len(tags):
            said.headers["Link"] = link.format(path=plain, token=end)
        return said

    return answer


# Whole and sorted, whatever is asked for; cut at `n` or at a bound of its own without a word (go-containerregistry's
# in-memory registry); going on by tokens, at a name of its own, with the parameter unquoted (Quay, ECR, gateways).
BEFORE["tags-cut-without-link"] = tag_pages(3, "")
BEFORE["tags-odd-links"] = tag_pages(2, "<https://registry.internal/other{path}?token={token}>; rel=next", last=False)


_everything = tag_pages(10**6, "", last=False)


@before("tags-ignore-n-and-last")
async def _unpaged(asked: Asked) -> Said | None:
    if TAGS.fullmatch(asked.path):
        asked.path = asked.path.partition("?")[0]
    return await _everything(asked)


@after("long-headers")
def _wordy(_: Asked, said: Said) -> None:
    """Gateways add what they know: policies, traces, state; 20 KiB are seen."""
    said.headers["Content-Security-Policy"] = "s" * 20_000


NAMES = tuple(sorted({*BEFORE, *AFTER}))


async def serve(upstream: str, chosen: list[str]) -> None:
    """Answer on a free port of loopback until told to stop."""
    async with ClientSession(
        cookie_jar=DummyCookieJar(), auto_decompress=False, max_line_size=1 << 16, max_field_size=1 << 16
    ) as session:
        outside = Outside(upstream, session)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            headers = CIMultiDict((n, v) for n, v in request.headers.items() if n.lower() not in HOP)
            if request.host.startswith("localhost:"):
                print(json.dumps({"aside": request.method, "authorization": "Authorization" in headers}), flush=True)
            asked = Asked(request.method, request.raw_path, headers, await request.read(), outside)
            said = None
            for name in chosen:
                if said is None and name in BEFORE:
                    said = await BEFORE[name](asked)
            if said is None:
                said = await outside.ask(asked.method, asked.path, asked.headers, asked.body or None)
            for name in chosen:
                if name in AFTER:
                    AFTER[name](asked, said)
            body = None if asked.method == "HEAD" else said.body
            return web.Response(status=said.status, headers=said.headers, body=body)

        server = web.Server(handle, max_line_size=1 << 16, max_field_size=1 << 16)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        outside.port = runner.addresses[0][1]
        print(f"listening on 127.0.0.1:{outside.port}", flush=True)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()
        await runner.cleanup()


if __name__ == "__main__":
    unknown = set(sys.argv[2:]) - set(NAMES)
    if unknown:
        sys.exit(f"unknown manners {sorted(unknown)}; there are {', '.join(NAMES)}")
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))
