"""A job signs what is owed a signature, as soon as signing works again."""

from __future__ import annotations

from proxy.flows.house import House
from proxy.flows.job import start
from proxy.flows.unsigned import AGAIN, SIGN_OWED
from proxy.ports import Jobs
from proxy.trust.job import WAITING, Job

LOOK_S = 2.0


async def see_to_it(house: House, jobs: Jobs) -> None:
    """Ask for such a job where something is owed, signing works and none waits already. Raises Unavailable."""
    if house.owed.waiting() == 0 or house.signer.health() is not None:
        return
    now = house.clock.now()
    if not await house.owed.due(now - AGAIN, 1) or await jobs.page(WAITING, SIGN_OWED, "", 1, 0):
        return
    why = "pushed unsigned under an exception while signing did not work"
    await start(Job("", SIGN_OWED, "countersign", "", why, now), jobs, house.journal)
