"""Addresses from upstream: origins compared exactly, `Location` and `Link` rewritten to our paths."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Unavailable
from proxy.oci.operation import Operation
from proxy.registry.ports.upstream import Headers

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Return `scheme://host:port` in lower case, always with the port. Raises ValueError for an unusual URL.

    User names in URLs, backslashes and non-ASCII hosts are refused: with them, two parsers can see different hosts.
    """
    if not all("!" <= c <= "~" for c in url) or "\\" in url:
        raise ValueError(f"URL with characters that parsers read differently: {url[:80]!a}")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or "%" in parts.netloc:
        raise ValueError(f"not a plain http or https URL: {url[:80]!a}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{host}:{_PORTS[parts.scheme] if parts.port is None else parts.port}"


def path_here(target: str, *, base: str, asked: str) -> str | None:
    """Return `/v2/...` with its query untouched if `target` is below `base`, else None.

    `base` is upstream's URL (perhaps with a path), `asked` the URL of the request. Raises Corrupt for an ambiguous
    target.
    """
    if not all("!" <= c <= "~" for c in target) or "\\" in target:
        raise Corrupt(f"upstream pointed to {target[:80]!a}, which parsers read differently")
    try:
        absolute = urljoin(asked, target)
        if origin(absolute) != origin(base):
            return None
        parts = urlsplit(absolute)
    except ValueError as exc:
        raise Corrupt(f"upstream pointed to {target[:80]!a}: {exc}") from exc
    prefix = urlsplit(base).path.rstrip("/")
    if not parts.path.startswith(prefix + "/v2/"):
        return None
    below = parts.path.removeprefix(prefix)
    return f"{below}?{parts.query}" if parts.query else below


def rewritten(headers: Headers, status: int, operation: Operation, *, base: str, asked: str) -> Headers:
    """Return the headers with `Location` and `Link` rewritten to our paths; locations of uploads are handled elsewhere.

    Redirects of blobs to other origins pass unchanged: the caller follows them, without our credentials. Raises Corrupt
    for a next page on another origin, Unavailable for a redirect of anything else.
    """
    return tuple(
        pair
        for name, value in headers
        for pair in _pointing(name, value, status, operation, base, asked)  # one or none
    )


def _pointing(name: str, value: str, status: int, operation: Operation, base: str, asked: str) -> Headers:
    if name == "link":
        try:
            return ((name, _link(value, base, asked)),)
        except Corrupt:
            if isinstance(operation, ops.ListTags):
                return ((name, value),)  # only its query is read; the next page is requested from our own upstream
            raise
    if name != "location":
        return ((name, value),)
    here = path_here(value, base=base, asked=asked)
    if here is not None:
        return ((name, here),)
    if not 300 <= status < 400:
        return ()  # the specification defines where the content is; a foreign address would only mislead
    if isinstance(operation, ops.PullBlob):
        return ((name, value),)
    raise Unavailable(
        f"upstream answers {urlsplit(asked).path} with a redirect to {shown(value)}, which would go around this proxy; "
        "set the upstream's url to where it sends us"
    )


def _link(value: str, base: str, asked: str) -> str:
    """Return the Link header with every `<target>` rewritten to one of our paths (RFC 8288 §3)."""
    done, rest = "", value
    while rest:
        before, opened, after = rest.partition("<")
        target, closed, rest = after.partition(">")
        if not opened:
            return done + before
        here = path_here(target, base=base, asked=asked) if closed else None
        if here is None:
            raise Corrupt(f"upstream's next page is at {shown(target)}, which is not below {base}")
        done += f"{before}<{here}>"
    return done


def shown(target: str) -> str:
    """Return a target for an error text, without its query, which may hold upload state or a signature."""
    return f"{target.partition('?')[0][:120]!a}"
