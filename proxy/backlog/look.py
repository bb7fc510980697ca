"""Make the list of what is to be signed later: in a job, because a registry may hold many thousand images."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from proxy.backlog.model import LISTED, LOOKED_AT, Candidate, Listed, Status, images_in, names_in, text_of
from proxy.jobs.job import Job
from proxy.jobs.run import Step
from proxy.journal.port import NOT_KNOWN, Pulled
from proxy.oci.faults import Corrupt, Fault, NotFound, Unavailable
from proxy.oci.operation import PullManifest
from proxy.oci.reference import Repository, digest_of, holds_signatures, is_digest, parse_tag
from proxy.registry.cache import Cache
from proxy.registry.ports.upstream import Credential
from proxy.registry.ports_in_use import Ports
from proxy.registry.reading.catalog import repositories_of
from proxy.registry.reading.denied_parents import denied
from proxy.registry.reading.resolve import resolve
from proxy.registry.reading.tag_list import tags_of
from proxy.registry.request import Request, Response
from proxy.registry.signing.attach import holds_signatures as is_list
from proxy.registry.signing.sign_existing import is_signed
from proxy.trust.pattern import matches

LOOK = "list-unsigned"  # the kind of these jobs
NAMES, LIST = "names to sign", "list to sign"  # the kinds of texts kept for them
PULLED = timedelta(days=30)  # of which the list says who pulled
_AT_ONCE = 8  # images looked at together; each reads from upstream like a pull
_NAMED = 100  # images that are not signed and named in the result; all are counted

PulledOf = Callable[[datetime, int, str], Awaitable[Sequence[Pulled]]]


async def look(job: Job, step: Step, ports: Ports, pulled: PulledOf) -> Mapping[str, Any]:
    """Return the counts, and the key of the list. An interrupted job starts again: it signs nothing.

    Raises Stop, Fault if upstream does not list its repositories, Unavailable if the store does not answer.
    """
    there = replace(ports, cache=Cache(ports.limits, ports.clock.monotonic), repairs=False)
    request = Request(Credential(ours=True), f"job-{job.id}", address="job")
    counts, listed, named = dict.fromkeys(Status, 0), list[Listed](), list[str]()
    done, more = 0, False
    async for part in _selected(job, request, there, pulled):
        for at in range(0, len(part), _AT_ONCE):
            some = part[at : at + _AT_ONCE]
            for found in await asyncio.gather(*(_looked_at(each, job, request, there) for each in some)):
                counts[found.status] += 1
                if found.status is Status.TO_SIGN:
                    listed.append(found)
                elif found.problem and len(named) < _NAMED:
                    named.append(found.problem)
            done += len(some)
            await step(done, None, "", {})
            more = len(listed) > LISTED or done >= LOOKED_AT
            if more:
                break
        if more:
            break
    listed = await _who(listed[:LISTED], job, there, pulled)
    await step(done, done, "", {})
    told = {status.value: count for status, count in counts.items() if count}
    text = text_of(listed)
    await ports.journal.keep_revision(LIST, key := digest_of(text.encode()), text)
    return {"counts": told, "not signed": named, "more": more, "list": key}


async def _selected(
    job: Job, request: Request, ports: Ports, pulled: PulledOf
) -> AsyncIterator[Sequence[Candidate | Listed]]:
    """Yield what the job selects, a repository at a time where upstream is asked for its tags."""
    asked = job.asked
    if since := asked.get("pulled_since"):
        found = await pulled(datetime.fromisoformat(since), LOOKED_AT, "")
        mine = [each for each in found if _mine(each.repository, job)]
        yield [Candidate(PullManifest(each.repository, each.reference), each.digest) for each in mine]
    elif key := asked.get("names"):
        names = await ports.journal.revision(NAMES, str(key))
        if names is None:
            raise NotFound("the names are not in the store any more")
        yield [Candidate(name) for name in names_in(names, ports.hosts)]
    else:
        images = images_in(str(asked["images"]), ports.hosts)
        every = await _repositories(request, ports) if images.only is None else (images.only,)
        for repository in (each for each in every if images.has(each) and _mine(each, job)):
            tags = await _tags(repository, request, ports)
            if isinstance(tags, Listed):
                yield [tags]
            else:
                these = [tag for tag in tags if images.has_tag(tag) and not holds_signatures(tag)]
                yield [Candidate(PullManifest(repository, parse_tag(tag))) for tag in these]


async def _repositories(request: Request, ports: Ports) -> Sequence[Repository]:
    """Return upstream's repositories. Raises Fault: somebody waits for the list, so the job does not wait."""
    try:
        return await repositories_of(request, ports)
    except (Unavailable, Corrupt) as silent:
        raise Fault("UNKNOWN", f"the registry's list of repositories could not be read: {silent.what}") from None


async def _tags(repository: Repository, request: Request, ports: Ports) -> Sequence[str] | Listed:
    try:
        found = await tags_of(repository, request.fresh(), ports)
    except (Unavailable, Corrupt) as silent:
        return Listed(repository, "", "", Status.UNKNOWN, silent.what)
    except Fault as wrong:
        return Listed(repository, "", "", Status.UNKNOWN, wrong.message)
    if not isinstance(found, Response):
        return found.names
    if found.status == 404:  # some registries list repositories without tags
        return ()
    return Listed(repository, "", "", Status.UNKNOWN, f"the registry answered {found.status} for its tags")


def _mine(repository: str, job: Job) -> bool:
    """True if the token that asked is for this repository."""
    only = job.asked.get("only", ())
    return not only or any(matches(str(each), repository) for each in only)


async def _looked_at(candidate: Candidate | Listed, job: Job, request: Request, ports: Ports) -> Listed:
    """Return the image with what signing it would come to. What cannot be looked at is UNKNOWN, never fine."""
    if isinstance(candidate, Listed):
        return candidate
    op = candidate.name
    blank = Listed(op.repository, op.reference)
    if not _mine(op.repository, job):
        return replace(blank, status=Status.OUTSIDE)
    policy = ports.rules.current().for_(op.repository)
    if policy is None or not policy.push.sign_with:
        return replace(blank, status=Status.NO_POLICY)
    try:
        subject = await resolve(op, request.fresh(), ports)
        if isinstance(subject, Response):
            status = Status.GONE if subject.status == 404 else Status.UNKNOWN
            return replace(blank, status=status, why=f"the registry answered {subject.status}")
        found = replace(blank, digest=subject.digest)
        if candidate.digest not in (None, subject.digest):
            return replace(found, status=Status.MOVED)
        if is_list(subject.body, ports):
            return replace(found, status=Status.SIGNATURE)
        if (denial := await denied(op.repository, subject.digest, ports)) is not None:
            return replace(found, status=Status.DENIED, why=denial.says(subject.digest))
        tags = () if is_digest(op.reference) else (parse_tag(op.reference),)
        signed = await is_signed(op.repository, subject, tags, policy.push, ports)
    except (Unavailable, Corrupt) as silent:
        return replace(blank, status=Status.UNKNOWN, why=silent.what)
    except Fault as unreadable:
        return replace(blank, status=Status.UNKNOWN, why=unreadable.message)
    return replace(found, status=Status.SIGNED if signed else Status.TO_SIGN)


async def _who(listed: Sequence[Listed], job: Job, ports: Ports, pulled: PulledOf) -> list[Listed]:
    """Return the images with who pulled each in the last 30 days, and who pushed it, as far as that is recorded."""
    told: dict[str, list[Listed]] = {}
    for each in listed:
        told.setdefault(each.repository, []).append(each)
    complete = []
    for repository, images in told.items():
        pulls = await pulled(job.created - PULLED, LOOKED_AT, repository)
        by_name = {(str(each.digest), str(each.reference)): each for each in pulls}
        by_digest = {str(each.digest): each for each in reversed(pulls)}
        tags = [parse_tag(each.reference) for each in images if ":" not in each.reference]
        facts = await ports.tags.find(Repository(repository), tags)
        for each in images:
            pull = by_name.get((each.digest, each.reference)) or by_digest.get(each.digest)
            fact = None if ":" in each.reference else facts.get(parse_tag(each.reference))
            by = fact.by if fact is not None and fact.digest == each.digest else ""
            complete.append(
                replace(
                    each,
                    callers=NOT_KNOWN if pull is None else pull.callers,
                    last="" if pull is None else pull.last.isoformat(),
                    pushed=by,
                )
            )
    return complete
