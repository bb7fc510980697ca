"""The list of tags: upstream's, complete and sorted; `n` and `last` are applied here, whatever upstream does.

distribution-spec 1.1 "Listing Tags". Some registries list in any order, ignore `n` or `last`, have links that form a
circle or name another repository, or stop without a link. So upstream's pages are read from the first to the last, and
our page is cut from the whole. A list that cannot be read to its end is an error, never a part that looks complete.
"""

from __future__ import annotations

import asyncio
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from urllib.parse import quote

from proxy.oci import query as q
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.operation import ListTags
from proxy.oci.paths import PAGE_LENGTH
from proxy.oci.paths import parse as parse_path
from proxy.oci.reference import Repository, holds_signatures
from proxy.oci.strict_json import loads
from proxy.registry.ports.upstream import UpstreamResponse
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.gate import holder_of
from proxy.registry.reading.read import ask, examined, header, whole
from proxy.registry.reading.resolve import relayed_error
from proxy.registry.request import Request, Response

PAGE = 1000  # tags requested per page; upstream may send fewer
_NO_N = frozenset({400, 405, 406, 413, 414, 416, 422, 501})  # answers of registries that reject `n`, or this value
_JSON = "application/json"
_ACCEPT = (("accept", _JSON),)
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r"""\brel\s*=\s*["']?([\w -]*)""", re.IGNORECASE)


@dataclass(frozen=True)
class Tags:
    """Every tag of a repository, once, in order. `whole` are upstream's bytes if they contain exactly this list."""

    names: tuple[str, ...]
    whole: bytes | None = field(default=None, repr=False)
    media_type: str = _JSON

    def after(self, last: str | None) -> Sequence[str]:
        """Return the tags after `last` in list order, whether or not `last` is in the list."""
        if last is None:
            return self.names
        if last in self.names:  # names that differ only in case may be in any order
            return self.names[self.names.index(last) + 1 :]
        key = str if _ascending(self.names) else _without_case
        return self.names[bisect_right(self.names, key(last), key=key) :]


async def list_tags(op: ListTags, request: Request, ports: Ports) -> Response:
    """Return the requested page, or upstream's refusal.

    Without `n` the page has all tags. A Link header says that there are more. If names of signature lists are hidden,
    `n` counts the shown tags. Raises Unavailable, Corrupt, Fault if upstream's list cannot be read to its end.
    """
    found = await tags_of(op.repository, request, ports)
    if isinstance(found, Response):
        return found
    left = [tag for tag in found.after(op.last) if not (ports.hides_signature_tags and holds_signatures(tag))]
    shown = left if op.n is None else left[: op.n]
    headers = [("content-type", found.media_type)]
    if shown and len(shown) < len(left):
        headers.append(
            ("link", f'</v2/{op.repository}/tags/list?last={quote(shown[-1], safe="")}&n={op.n}>; rel="next"')
        )
    body = found.whole
    if body is None or len(shown) < len(found.names):
        document = {"name": op.repository, "tags": shown}
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    return Response(200, (*headers, ("content-length", str(len(body)))), body)


async def tags_of(repository: Repository, request: Request, ports: Ports) -> Tags | Response:
    """Return all of upstream's tags, or its refusal to list them.

    Bounded by `limits.tags_listed`, `tag_pages`, `tag_list_bytes`, `tag_list_s` and the request's budget; few lists are
    read at once, those of one holder one after another. Raises Unavailable, Corrupt, Fault.
    """
    lists, holder, most = ports.cache.tag_lists, holder_of(request, ports), ports.limits.tag_list_bytes
    await lists.take(holder, most)
    try:
        async with asyncio.timeout(ports.limits.tag_list_s):
            return await _Walk(repository, request, ports).walked()
    except TimeoutError:
        late = f"upstream's tags of {repository} took more than {ports.limits.tag_list_s:g} s (limits.tag_list_s)"
        raise Unavailable(late, told=Told.LATE) from None
    finally:
        lists.give_back(holder, most)


class _Walk:
    """One walk through upstream's pages."""

    def __init__(self, repository: Repository, request: Request, ports: Ports) -> None:
        self._repository = repository
        self._asked = request
        self._ports = ports
        self._tags: dict[str, None] = {}
        self._seen: set[ListTags] = set()
        self._bytes = 0
        self._first: tuple[bytes, list[str], str] | None = None

    async def walked(self) -> Tags | Response:
        """Walk the pages with `n`; if `n` is refused or links form a circle, walk them without it."""
        found = await self._through(ListTags(self._repository, PAGE))
        if found is True or (isinstance(found, Response) and found.status in _NO_N):
            found = await self._through(ListTags(self._repository))
        if isinstance(found, Response):
            return found
        if found is None or await self._shows_all():
            return self._all()
        raise Corrupt(f"upstream says that {self._repository} has more tags than it shows: its links lead in a circle")

    async def _through(self, op: ListTags) -> Response | bool | None:
        """Follow the pages from this one on: None at the end, True for a circle, or upstream's refusal."""
        linked = probing = False
        while True:
            self._seen.add(op)
            reply = await self._page(op)
            if reply.status != 200:
                if not self._tags and not op.page:
                    return await self._refused(reply)
                await reply.close()
                if probing and 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 429):
                    return None  # upstream does not accept `last`
                raise Unavailable(f"upstream answered {reply.status} for a page of the tags of {self._repository}")
            link, names = header(reply, "link"), await self._names(reply)
            fresh = [name for name in names if name not in self._tags]
            self._tags.update(dict.fromkeys(fresh))
            if len(self._tags) > self._ports.limits.tags_listed:
                raise self._too_much(f"{self._ports.limits.tags_listed} tags (limits.tags_listed)")
            if probing and not fresh:
                return None  # no more tags followed
            following = _next(link, self._repository)
            probing = following is None
            if following is None:
                if linked or not names or (op.n is not None and len(names) > op.n):
                    return None  # an upstream with links says when there are more; one that ignores `n` has shown all
                following = ListTags(self._repository, PAGE, names[-1])
            if following in self._seen:
                return True
            linked, op = not probing, following

    async def _shows_all(self) -> bool:
        """True if upstream shows more than one tag for `n=1`: its links then mean nothing."""
        reply = await self._page(ListTags(self._repository, 1))
        if reply.status != 200:
            await reply.close()
            return False
        return len(await self._names(reply)) > 1

    async def _page(self, op: ListTags) -> UpstreamResponse:
        if len(self._seen) > self._ports.limits.tag_pages:
            raise self._too_much(f"{self._ports.limits.tag_pages} pages of tags (limits.tag_pages)")
        return await ask(op, self._asked, self._ports, _ACCEPT)

    async def _refused(self, reply: UpstreamResponse) -> Response:
        if reply.status in (401, 403):
            self._ports.rights.refused(self._asked.credential)
        if reply.status < 400:
            await reply.close()
            raise Unavailable(f"upstream answered {reply.status} for the tags of {self._repository}")
        return await relayed_error(reply)

    async def _names(self, reply: UpstreamResponse) -> list[str]:
        ports, limits = self._ports, self._ports.limits
        try:
            body = await whole(reply, limits.tag_list_bytes - self._bytes, self._asked, ports)
        except Fault:
            raise self._too_much(f"{limits.tag_list_bytes} bytes of tags (limits.tag_list_bytes)") from None
        self._bytes += len(body)
        names = await examined(partial(_read, body, limits), body, self._asked, ports)
        if names is None:
            raise Corrupt(f"upstream's list of the tags of {self._repository} is none")
        if self._first is None:
            kind = header(reply, "content-type") or _JSON
            self._first = body, names, kind if "json" in kind else _JSON
        return names

    def _too_much(self, what: str) -> Fault:
        text = f"{self._repository} has more than {what}, which is the most that is listed; no part of it is shown"
        return Fault("SIZE_INVALID", text, status=413)

    def _all(self) -> Tags:
        """Return all tags. Upstream's order is kept if it is one of the two that the conformance test accepts."""
        names = tuple(self._tags)
        if not _ascending(names) and not _ascending([_without_case(name) for name in names]):
            names = tuple(sorted(names))
        body, listed, media_type = self._first or (None, [], _JSON)
        return Tags(names, body if tuple(listed) == names and listed else None, media_type)


def _ascending(names: Sequence[str]) -> bool:
    return all(one <= two for one, two in pairwise(names))


def _without_case(name: str) -> str:
    return name.lower()


def _read(body: bytes, limits: Limits) -> list[str] | None:
    """Return the names in this document, [] if upstream says null; None if it is not a list of tags."""
    document = loads(body, limits.json_depth, limits.tags_listed + limits.json_values)
    if not isinstance(document, dict) or not isinstance(tags := document.get("tags") or [], list):
        return None
    return tags if all(isinstance(name, str) and name for name in tags) else None


def _next(link: str | None, repository: Repository) -> ListTags | None:
    """Return the page that a Link (RFC 8288) names. Only its query counts: path and registry are known."""
    for target, parameters in _LINK.findall(link or ""):
        rel = _REL.search(parameters)
        if rel is not None and "next" not in rel[1].lower().split():
            continue
        query = target.partition("?")[2]
        try:
            pairs = q.opaque(q.split(query), ())
            if {name for name, _ in pairs} == {"n", "last"}:
                known = parse_path("GET", f"/v2/{repository}/tags/list", query)
                return known if isinstance(known, ListTags) else None
        except Fault:
            return None
        return ListTags(repository, page=pairs) if pairs and len(query) <= PAGE_LENGTH else None
    return None
