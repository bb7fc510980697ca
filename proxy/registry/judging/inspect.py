"""What a caller with pull access may see of an image: verdict, keys, last push, how to verify it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.journal.event import EventKind
from proxy.journal.port import Search
from proxy.oci.operation import PullManifest
from proxy.registry.judging.judge import judge
from proxy.registry.ports_in_use import Ports
from proxy.registry.request import Request, Response
from proxy.trust.decision import Decision


@dataclass(frozen=True)
class Inspected:
    """A decision, the names of the keys that signed (by fingerprint), and the last push of that digest."""

    decision: Decision
    keys: dict[str, str]
    pushed_by: str | None
    pushed_at: datetime | None


async def inspect(op: PullManifest, request: Request, ports: Ports) -> Inspected | Response:
    """Return the inspected image, judged with the caller's own credentials, or upstream's refusal to let it be read."""
    judged = await judge(op, request, ports)
    if isinstance(judged, Response):
        return judged
    digest = judged.decision.digest
    ring = ports.keybook.ring()
    names = {v.fingerprint: v.name for v in ring.all_verifiers()}
    names |= {each: signer.name for signer in ring.keyless for each in signer.fingerprints}
    pushes = await ports.journal.search(
        Search(kinds=(EventKind.PUSH_ACCEPTED,), repository=op.repository, digest=digest, limit=1)
    )
    last = pushes[0] if pushes else None
    return Inspected(
        decision=judged.decision,
        keys={s.fingerprint: names.get(s.fingerprint, "") for s in judged.decision.signatures},
        pushed_by=last.who if last else None,
        pushed_at=last.at if last else None,
    )
