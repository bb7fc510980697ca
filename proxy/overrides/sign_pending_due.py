"""A job signs what is owed a signature, as soon as signing works again."""

from __future__ import annotations

from proxy.jobs.job import WAITING, Job
from proxy.jobs.port import Jobs
from proxy.jobs.run import start
from proxy.overrides.sign_pending import AGAIN, SIGN_OWED
from proxy.registry.ports_in_use import Ports
from proxy.trust.unsigned_push import UnsignedPush

LOOK_S = 2.0


async def see_to_it(ports: Ports, jobs: Jobs) -> None:
    """Ask for such a job where something is owed, signing works and none waits already. Raises Unavailable."""
    if ports.unsigned.waiting() == 0:
        return
    now = ports.clock.now()
    due = await ports.unsigned.due(now - AGAIN, 1)
    if not due or not _signs(due[0], ports) or await jobs.page(WAITING, SIGN_OWED, "", 1, 0):
        return
    why = "pushed unsigned under an exception while signing did not work"
    await start(Job("", SIGN_OWED, "countersign", "", why, now), jobs)


def _signs(push: UnsignedPush, ports: Ports) -> bool:
    """True unless all tokens of a profile that is to sign this are away, as far as is known."""
    policy = ports.rules.current().for_(push.repository)
    profiles = policy.push.sign_with if policy else ()
    return all(any(turn.away is None for turn in ports.signer.tokens_of(profile)) for profile in profiles)
