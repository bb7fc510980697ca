"""Image names as users write them: `[HOST/]repo[:tag|@digest]`."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.oci.faults import Fault
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_digest, parse_repository, parse_tag, require_sha256


def parse_name(text: str, hosts: Sequence[str]) -> PullManifest:
    """Return the pull operation for this name; a prefix with one of our public names is dropped. Raises Fault."""
    for host in hosts:
        text = text.removeprefix(f"{host}/") if host else text
    if ":" in (other := host_of(text)):  # no repository has one in its name
        ours = f", or with {hosts[0]}/ in front" if hosts and hosts[0] else ""
        raise Fault("NAME_INVALID", f"{other[:80]!a} is not a name of this proxy: names are without a host here{ours}")
    name, at, digest = text.partition("@")
    if at:
        name = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        known = parse_digest(digest)
        require_sha256(known)
        return PullManifest(parse_repository(name), known)
    path, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return PullManifest(parse_repository(path), parse_tag(tag))
    return PullManifest(parse_repository(name), parse_tag("latest"))


def host_of(text: str) -> str:
    """Return what docker would take for the host in front of this name; empty if there is none."""
    first, slash, _ = text.partition("/")
    return first if slash and (first == "localhost" or "." in first or ":" in first) else ""
