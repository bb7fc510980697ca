"""Is this manifest a signature, wholly and strictly? Media types alone prove nothing: podman runs a tar called one."""

from __future__ import annotations

from proxy.flows.asked import Asked
from proxy.flows.house import House
from proxy.flows.read import read_blob
from proxy.flows.resolve import learn
from proxy.formats.archive import is_tar
from proxy.formats.carrier import config_parses, config_to_check, is_artifact_shape
from proxy.formats.format import Layer
from proxy.formats.table import claimed_by
from proxy.oci.faults import Corrupt, Fault
from proxy.oci.reference import Repository
from proxy.trust.question import Resolved


async def is_signature_artifact(repository: Repository, subject: Resolved, asked: Asked, house: House) -> bool:
    """True once every layer has been fetched and parsed as the format it claims; remembered as a fact by digest.

    Raises Unavailable where a layer could not be read: then nothing is known, and nothing is remembered.
    """
    manifest = subject.manifest
    if not is_artifact_shape(manifest):
        return False
    fact = await house.facts.manifest(repository, subject.digest)
    if fact is not None and fact.artifact is not None:
        return fact.artifact
    proven = await _parses(repository, subject, asked, house)
    if proven is not None:
        await learn(repository, subject, house, artifact=proven)
    return bool(proven)


async def _parses(repository: Repository, subject: Resolved, asked: Asked, house: House) -> bool | None:
    """True or False once every byte was read; None where upstream does not have what the manifest lists."""
    try:
        config = config_to_check(subject.manifest)
        if config is not None and not config_parses(await read_blob(repository, config, asked, house)):
            return False
        for descriptor in subject.manifest.layers:
            form = claimed_by(descriptor.media_type)
            if form is None:
                return False
            data = await read_blob(repository, descriptor, asked, house)
            if is_tar(data) or not form.parses(Layer(descriptor, data)):
                return False
    except (Corrupt, Fault):
        return None
    return True
