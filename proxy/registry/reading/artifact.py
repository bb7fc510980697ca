"""Decide whether a manifest is only a signature. Media types prove nothing: podman runs a tar labelled as one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from proxy.formats.archive import is_tar
from proxy.formats.carrier import LAYERS, config_parses, config_to_check, is_artifact_shape
from proxy.formats.format import Layer
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt, Fault, Told, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor, Kind, Manifest
from proxy.oci.reference import Repository, Tag, subject_of_list
from proxy.registry.budget import Exhausted
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import AT_ONCE, examined, read_blob, together
from proxy.registry.reading.referrers import lists_referrers
from proxy.registry.reading.resolve import learn
from proxy.registry.request import Request
from proxy.trust.question import Resolved


async def needs_no_signature(
    repository: Repository, subject: Resolved, tags: Sequence[Tag], request: Request, ports: Ports
) -> bool:
    """True for a signature itself, and for the index of referrers that clients keep, under all these tags.

    A tag's name alone is not enough. Raises Unavailable.
    """
    if subject.manifest.kind is not Kind.INDEX:
        return await is_signature_artifact(repository, subject, request, ports)
    for tag in tags:
        about = subject_of_list(tag)
        if about is None or not await lists_referrers(repository, about, subject.body, request, ports, all_there=True):
            return False
    return bool(tags)


async def is_signature_artifact(
    repository: Repository, subject: Resolved, request: Request, ports: Ports, *, most: int = LAYERS
) -> bool:
    """True once every layer has been fetched and parsed as the format it claims; recorded as a fact by digest.

    A manifest of more than `most` layers is not examined, but counts if it was proven before. One that is too large for
    a signature is not read and does not count. Raises Unavailable if a layer could not be read, or not within half of
    the remaining budget: the answer is then unknown, and the check is not repeated for some seconds.
    """
    manifest, limits = subject.manifest, ports.limits
    if not is_artifact_shape(manifest, max(most, limits.signature_layers)):
        return False
    fact = await ports.facts.manifest(repository, subject.digest)
    if fact is not None and fact.artifact is not None:
        return fact.artifact
    if len(manifest.layers) > most:
        return False
    proven: bool | None = False
    if _fits(manifest, limits):
        name = ("artifact", repository, subject.digest, ports.cache.changes(repository))
        known = ports.cache.exhausted.get(name)
        if known is not None:
            raise Unavailable(known, told=Told.MUCH)
        part, late = request.part(limits), f"no answer within {limits.gather_deadline_s:g} s"
        try:
            async with asyncio.timeout(limits.gather_deadline_s):
                proven = await _parses(repository, subject, part, ports)
        except TimeoutError:
            ports.cache.exhausted[name] = late
            raise Unavailable(late, told=Told.LATE) from None
        except Exhausted as much:
            if part.budget.is_large(limits):
                ports.cache.exhausted[name] = much.what
            raise
    if proven is not None:
        await learn(repository, subject, ports, artifact=proven)
    return bool(proven)


def _fits(manifest: Manifest, limits: Limits) -> bool:
    """True when no part is larger than a signature may be, nor all parts together; this check is free."""
    config = config_to_check(manifest)
    sizes = [d.size for d in (*manifest.layers, *([] if config is None else [config]))]
    return max(sizes) <= limits.signature_bytes and sum(sizes) <= limits.artifact_bytes


async def _parses(repository: Repository, subject: Resolved, request: Request, ports: Ports) -> bool | None:
    """True or False once every byte was read; None if upstream lacks something that the manifest lists."""
    try:
        config = config_to_check(subject.manifest)
        if config is not None:
            data = await read_blob(repository, config, request, ports)
            if not await examined(lambda: config_parses(data), data, request, ports):
                return False
        same: dict[tuple[object, ...], list[Descriptor]] = {}
        for layer in subject.manifest.layers:
            same.setdefault((layer.digest, layer.size), []).append(layer)
        groups = list(same.values())
        for at in range(0, len(groups), AT_ONCE):
            some = groups[at : at + AT_ONCE]
            read = await together([read_blob(repository, layers[0], request, ports) for layers in some])
            for layers, data in zip(some, read, strict=True):
                if not await _all_parse(layers, data, request, ports):
                    return False
    except (Corrupt, Fault):
        return None
    return True


async def _all_parse(layers: list[Descriptor], data: bytes, request: Request, ports: Ports) -> bool:
    """True when layers of one blob, with different types and annotations, are each what they claim."""
    if await examined(lambda: is_tar(data), data, request, ports):
        return False
    for d in {(d.media_type, *sorted(d.annotations.items())): d for d in layers}.values():
        form = claimed_by(d.media_type)
        if form is None or not await examined(partial(form.parses, Layer(d, data)), data, request, ports):
            return False
    return True
