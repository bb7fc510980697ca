"""Is what lies under `sha256-<hex>` the list of what refers to that digest? Its name alone says nothing."""

from __future__ import annotations

from functools import partial

from proxy.oci.faults import Corrupt, Fault
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository, matches
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_manifest
from proxy.registry.reading.referrers import entries_of
from proxy.registry.request import Request


async def lists_referrers(
    repository: Repository, subject: Digest, body: bytes, request: Request, ports: Ports, *, all_there: bool = False
) -> bool:
    """True for an index of nothing but manifests that refer to the subject; false for somebody's image or index.

    An entry that is gone says nothing, unless `all_there` is asked for: then it is none that refers to anything. Raises
    Unavailable where an entry could not be looked at, Exhausted.
    """
    if matches(subject, body):
        return False  # some registries read the tag as the digest itself
    try:
        entries = await examined(partial(entries_of, body, ports), body, request, ports)
    except Corrupt:
        return False
    for entry in entries or ():
        known = await _refers(repository, entry, subject, request, ports)
        if known is False or (known is None and all_there):
            return False
    return entries is not None


async def _refers(
    repository: Repository, entry: Descriptor, subject: Digest, request: Request, ports: Ports
) -> bool | None:
    """Return whether this manifest refers to the subject, None where upstream does not have it."""
    fact = await ports.facts.manifest(repository, entry.digest)
    if fact is not None and fact.subject is not None:
        return fact.subject == subject
    try:
        manifest = await read_manifest(repository, entry.digest, request, ports)
    except (Fault, Corrupt):
        return False  # what cannot be read is nothing that we would add to
    if manifest is None:
        return None
    return manifest.subject is not None and manifest.subject.digest == subject
