"""Sign the images of a list that was made and shown before: in a job, which leaves out what moved since."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from proxy.backlog.look import LIST
from proxy.backlog.model import Listed, list_in
from proxy.jobs.job import Job
from proxy.jobs.run import Step
from proxy.oci.faults import Corrupt, Fault, NotFound, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_digest, parse_reference, parse_repository
from proxy.registry.budget import Exhausted
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request
from proxy.registry.signing.sign_existing import Moved, sign_existing
from proxy.trust.actor import Actor

SIGN_LISTED = "sign-listed"  # the kind of these jobs
_TOGETHER = 4  # images processed at once: pushes use the same token
_NAMED = 100  # most images named in the result that were not signed; all are counted


async def sign_listed(job: Job, step: Step, ports: Ports) -> Mapping[str, Any]:
    """Return the number of images signed, signed already, moved, gone and failed.

    Raises Stop, Fault if the list is gone, Unavailable if the token, the store or upstream does not answer.
    """
    kept = await ports.journal.revision(LIST, str(job.asked["list"]))
    if kept is None:
        raise NotFound("the list is not in the store any more")
    images = list_in(kept)
    counts: dict[str, Any] = {"signed": 0, "already": 0, "moved": 0, "gone": 0, "failed": 0, "named": [], **job.result}
    for at in range(job.done, len(images), _TOGETHER):
        some = images[at : at + _TOGETHER]
        made = await asyncio.gather(*(_signed(image, job, ports) for image in some))
        if all(outcome == "away" for outcome, _ in made):
            raise Unavailable(made[0][1])
        for image, (outcome, why) in zip(some, made, strict=True):
            counts["failed" if outcome == "away" else outcome] += 1
            if why and len(counts["named"]) < _NAMED:
                counts["named"] = [*counts["named"], f"{image.name}: {why[:200]}"]
        await step(at + len(some), len(images), "", dict(counts))
    return counts


async def _signed(image: Listed, job: Job, ports: Ports) -> tuple[str, str]:
    """Return the outcome for one image, and why it is not signed; `away` if something did not answer."""
    request = Request(Credential(ours=True), f"job-{job.id}", address="job")
    by = Actor(job.who, job.how, job.reason, request.request_id)
    op = PullManifest(parse_repository(image.repository), parse_reference(image.reference))
    try:
        done = await sign_existing(op, by, request, ports, only=parse_digest(image.digest))
    except Moved as moved:
        return "moved", moved.message
    except Fault as wrong:
        if wrong.status == 429:  # pushes have priority
            return "away", wrong.message
        return ("gone", "") if wrong.status == 404 else ("failed", wrong.message)
    except (Exhausted, Corrupt) as wrong:
        return "failed", wrong.what
    except Unavailable as away:
        return "away", away.what
    return ("signed", "") if done.new else ("already", "")
