"""Decide whether one of our keys made a signature: from its bytes, read and hashed here, whatever its labels say."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from proxy.formats.algorithms import from_base64, signer_of
from proxy.formats.format import Layer
from proxy.formats.simple_signing import SIGNATURE, SIMPLE
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.manifest import Descriptor
from proxy.oci.reference import Digest, Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.read import examined, read_blob, read_manifest, together
from proxy.registry.request import Request
from proxy.trust.keys import Verifier


async def layers_made_here(
    repository: Repository, about: Digest, layers: Sequence[Descriptor], request: Request, ports: Ports
) -> list[Descriptor]:
    """Return the layers signed by one of our keys, in any state. Raises Unavailable, Exhausted."""
    found = await together([_made_here(repository, about, layer, request, ports) for layer in layers])
    return [layer for layer, made in zip(layers, found, strict=True) if made]


async def referrers_made_here(
    repository: Repository, about: Digest, digests: Collection[Digest], request: Request, ports: Ports
) -> set[Digest]:
    """Return which of these manifests carry a signature by one of our keys. Raises Unavailable, Exhausted."""
    each = list(digests)
    found = await together([_carries(repository, about, digest, request, ports) for digest in each])
    return {digest for digest, made in zip(each, found, strict=True) if made}


async def _carries(repository: Repository, about: Digest, digest: Digest, request: Request, ports: Ports) -> bool:
    try:
        manifest = await read_manifest(repository, digest, request, ports)
    except (Corrupt, Fault):
        return False  # an unreadable manifest is not a signature either
    layers = [] if manifest is None else [d for d in manifest.layers if claimed_by(d.media_type)]
    return bool(await layers_made_here(repository, about, layers[: ports.limits.signatures_per_digest], request, ports))


async def _made_here(repository: Repository, about: Digest, layer: Descriptor, request: Request, ports: Ports) -> bool:
    form, keys = claimed_by(layer.media_type), _ours(ports)
    known = {key.fingerprint for key in keys}
    if form is None:
        return False
    try:
        data = await read_blob(repository, layer, request, ports)
    except (Corrupt, Fault):
        return False
    request.budget.spend(ports.limits, signatures=1)

    def made() -> bool:
        if form is SIMPLE:  # whatever subject its payload names
            return signer_of(keys, from_base64(layer.annotations.get(SIGNATURE)) or b"", data) is not None
        return any(f.fingerprint in known for f in form.examine(Layer(layer, data), about, keys))

    return await examined(made, data, request, ports)


def _ours(ports: Ports) -> tuple[Verifier, ...]:
    return tuple(verifier for verifier in ports.keybook.ring().all_verifiers() if verifier.ours)
