"""The check of `countersign doctor --write-to`: whether upstream allows a tag to be overwritten. It writes."""

from __future__ import annotations

import json

from proxy.config import Settings
from proxy.oci.faults import ConfigError, Corrupt, Fault, Unavailable
from proxy.oci.manifest import OCI_INDEX
from proxy.oci.operation import DeleteManifest, PushManifest
from proxy.oci.reference import Reference, Repository, digest_of, signature_tag
from proxy.registry.ports.upstream import Credential
from proxy.server.build import upstream_of
from proxy.server.doctor.checkup import DoctorFinding
from proxy.upstream.client import Upstream

NAME = "tags of signatures"
TAG = signature_tag(digest_of(b"countersign-doctor"))  # the signature tag of a digest that no image has
OURS = Credential(ours=True)


async def check_tags_move(settings: Settings, repository: Repository) -> DoctorFinding:
    """Write an empty index under a signature tag, overwrite it with another, and delete both."""
    try:
        upstream = upstream_of(settings)
    except ConfigError as error:
        return DoctorFinding(NAME, "skipped", str(error))
    try:
        return await _tried(upstream, repository)
    except (Unavailable, Corrupt, Fault) as error:
        return DoctorFinding(NAME, "skipped", f"could not be tried in {repository}: {error}")
    finally:
        await upstream.close()


async def _tried(upstream: Upstream, repository: Repository) -> DoctorFinding:
    bodies = [_index(number) for number in ("1", "2")]
    first, again = [await _put(upstream, repository, TAG, body) for body in bodies]
    left = "".join([await _deleted(upstream, repository, body) for body in bodies])
    if first != 201:
        return DoctorFinding(
            NAME, "skipped", f"upstream answers {first} to our account that writes {TAG} in {repository}"
        )
    if again == 201:
        return DoctorFinding(NAME, "ok", f"may be written again in {repository}{left}")
    return DoctorFinding(
        NAME,
        "wrong",
        f"upstream answers {again} where {TAG} in {repository} is written again, as signatures are: its tags are "
        f"immutable{left}",
        "leave sha256-* out of that rule at the registry, or set policies[].push.formats to [sigstore-bundle]",
    )


def _index(number: str) -> bytes:
    told = {"org.countersign.doctor": number}
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": told}).encode()


async def _put(upstream: Upstream, repository: Repository, reference: Reference, body: bytes) -> int:
    kind = (("content-type", OCI_INDEX),)
    op = PushManifest(repository, reference)
    reply = await upstream.perform(op, OURS, headers=kind, body=body, length=len(body))
    await reply.close()
    return reply.status


async def _deleted(upstream: Upstream, repository: Repository, body: bytes) -> str:
    """Delete the index; return a note for the finding if it stays upstream."""
    digest = digest_of(body)
    reply = await upstream.perform(DeleteManifest(repository, digest), OURS)
    await reply.close()
    return "" if reply.status in (202, 404) else f"; {digest[:19]}... stays there ({reply.status})"
