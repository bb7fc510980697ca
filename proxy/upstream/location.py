"""Where upstream points: origins compared exactly, `Location` and `Link` turned into paths of ours."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from proxy.oci import operation as ops
from proxy.oci.faults import Corrupt, Unavailable
from proxy.oci.operation import Operation
from proxy.ports import Headers

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Return `scheme://host:port` in lower case, the port always written. Raises ValueError for anything unusual.

    User names in URLs, backslashes and non-ASCII hosts are refused: they are how one parser is made to see another
    host than the next.
    """
    if not all("!" <= c <= "~" for c in url) or "\\" in url:
        raise ValueError(f"URL with characters that parsers read differently: {url[:80]!a}")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or "%" in parts.netloc:
        raise ValueError(f"not a plain http or https URL: {url[:80]!a}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{host}:{_PORTS[parts.scheme] if parts.port is None else parts.port}"


def path_here(target: str, *, base: str, at: str) -> str | None:
    """Return `/v2/...` with its query untouched when `target` is below `base`; None when it is anywhere else.

    `base` is upstream's URL (perhaps with a path), `at` the path of the request that was answered. Raises Corrupt
    when the target cannot be read in one way only.
    """
    if not all("!" <= c <= "~" for c in target) or "\\" in target:
        raise Corrupt(f"upstream pointed to {target[:80]!a}, which parsers read differently")
    try:
        absolute = urljoin(base.rstrip("/") + at, target)
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


def rewritten(headers: Headers, status: int, operation: Operation, *, base: str, at: str) -> Headers:
    """Return the headers with `Location` and `Link` as paths of ours.

    Content redirects of blobs to other places pass untouched: the caller follows them, without our credentials.
    Raises Corrupt when an upload or a page would go on elsewhere, Unavailable for a redirect of anything else.
    """
    return tuple(
        pair
        for name, value in headers
        for pair in _pointing(name, value, status, operation, base, at)  # one or none
    )


def _pointing(name: str, value: str, status: int, operation: Operation, base: str, at: str) -> Headers:
    if name == "link":
        return ((name, _link(value, base, at)),)
    if name != "location":
        return ((name, value),)
    here = path_here(value, base=base, at=at)
    if here is not None:
        return ((name, here),)
    if 300 <= status < 400:
        if isinstance(operation, ops.PullBlob):
            return ((name, value),)
        raise Unavailable(
            f"upstream answers {at} with a redirect to {_shown(value)}, which would go around this proxy; "
            "set the upstream's url to where it sends us"
        )
    if status == 201:
        return ()  # content is where the specification says it is; a foreign address would only mislead
    raise Corrupt(
        f"upstream wants uploads to go on at {_shown(value)}, which is not below {base}; "
        "check the upstream's url and its own idea of its public address"
    )


def _link(value: str, base: str, at: str) -> str:
    """Return the Link header with every `<target>` as a path of ours (RFC 8288 §3)."""
    done, rest = "", value
    while rest:
        before, opened, after = rest.partition("<")
        target, closed, rest = after.partition(">")
        if not opened:
            return done + before
        here = path_here(target, base=base, at=at) if closed else None
        if here is None:
            raise Corrupt(f"upstream's next page is at {_shown(target)}, which is not below {base}")
        done += f"{before}<{here}>"
    return done


def _shown(target: str) -> str:
    """Return a target for an error text: no query, it may hold upload state or a signature."""
    return f"{target.partition('?')[0][:120]!a}"
