"""Decide whether the content of `sha256-<hex>` is the list of that digest's referrers. The name proves nothing."""

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
    """True for an index that lists only manifests that refer to the subject; False for a user's image or index.

    An entry that is gone proves nothing; with `all_there` it counts as a manifest that refers to nothing. Raises
    Unavailable if an entry could not be examined, Exhausted.
    """
    if matches(subject, body):
        return False  # some registries resolve the tag to the digest itself
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
    """Return whether this manifest refers to the subject, None if upstream does not have it."""
    fact = await ports.facts.manifest(repository, entry.digest)
    if fact is not None and fact.subject is not None:
        return fact.subject == subject
    try:
        manifest = await read_manifest(repository, entry.digest, request, ports)
    except (Fault, Corrupt):
        return False  # we would never add to an unreadable list
    if manifest is None:
        return None
    return manifest.subject is not None and manifest.subject.digest == subject
