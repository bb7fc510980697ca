"""The list of repositories at upstream, as far as upstream shows it to a credential (distribution-spec, "_catalog")."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.operation import ListRepositories
from proxy.oci.reference import Repository, parse_repository
from proxy.oci.strict_json import loads
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import ask, header, whole
from proxy.registry.request import Request

_PAGES = (1000, 100)  # repositories requested per page; some registries refuse the larger number
_REFUSES_N = frozenset({400, 405, 406, 413, 414, 416, 422})
_NEXT = re.compile(r"<[^<>?]*\?([^<>]*)>[^<]*\brel\s*=\s*[\"']?next", re.IGNORECASE)


async def repositories_of(request: Request, ports: Ports) -> tuple[Repository, ...]:
    """Return all repositories, once each; bounded as a list of tags is: `limits.tags_listed` and the others.

    Raises Unavailable, Corrupt, Fault if upstream does not list them, or not to the end: a part is never returned.
    """
    limits, size = ports.limits, _PAGES[0]
    found: dict[str, None] = {}
    last: str | None = None
    left = limits.tag_list_bytes
    for _ in range(limits.tag_pages):
        reply = await ask(ListRepositories(size, last), request.fresh(), ports, (("accept", "application/json"),))
        if reply.status in _REFUSES_N and size != _PAGES[-1]:
            await reply.close()
            size = _PAGES[-1]
            continue
        if reply.status != 200:
            await reply.close()
            raise _refused(reply.status)
        following = _NEXT.search(header(reply, "link") or "")
        body = await whole(reply, left, request.fresh(), ports)
        left -= len(body)
        names = _names(body, limits.json_depth, limits.tags_listed)
        fresh = [name for name in names if name not in found]
        found |= dict.fromkeys(fresh)
        if len(found) > limits.tags_listed:
            raise Fault("SIZE_INVALID", f"the registry has more than {limits.tags_listed} repositories", status=413)
        if not fresh or (following is None and len(names) < size):
            return tuple(_valid(found))
        last = parse_qs(following[1]).get("last", [names[-1]])[0] if following else names[-1]
    raise Fault(
        "SIZE_INVALID", f"the registry lists its repositories in more than {limits.tag_pages} pages", status=413
    )


def _refused(status: int) -> Fault | Unavailable:
    if status in (401, 403, 404, 405, 501):
        return Fault(
            "DENIED",
            f"the registry does not list its repositories to our account (it answered {status}): name the images in a "
            "file instead",
        )
    return Unavailable(f"upstream answered {status} for its list of repositories")


def _names(body: bytes, depth: int, most: int) -> list[str]:
    document = loads(body, depth, 2 * most)
    names = document.get("repositories") if isinstance(document, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Corrupt("upstream's list of repositories is none")
    return names


def _valid(names: dict[str, None]) -> list[Repository]:
    """Return the names that the specification allows: no other can be pulled through this proxy."""
    valid = []
    for name in sorted(names):
        try:
            valid.append(parse_repository(name))
        except Fault:
            continue
    return valid
