"""The action of the route about signing again: sign a profile's images in the ledger with its active key."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from proxy.admin.dispatch import Acting, Topic
from proxy.jobs import run as jobs_of
from proxy.jobs.job import Job
from proxy.jobs.operations import JobShown, job_room, shown
from proxy.jobs.port import Jobs
from proxy.keys.resign import RESIGN, keys_of
from proxy.keys.resign_routes import Resign
from proxy.registry.ports.facts import Signed
from proxy.registry.ports_in_use import Ports
from proxy.registry.signing.sign import signers_now
from proxy.trust.keys import fingerprint


class ResignDesk:
    """One method for the route; it raises Fault or Unavailable with a message for the caller."""

    def __init__(self, ports: Callable[[], Ports], jobs: Jobs, signed: Signed) -> None:
        """`signed` is the ledger to iterate over."""
        self._ports = ports
        self._jobs = jobs
        self._signed = signed

    def topic(self) -> Topic:
        """Return the action of the route, by name."""
        return Topic({"resign": self._resign}, {"resign": self._plan_resign}, {"resign": self._meant_by})

    async def _meant_by(self, acting: Acting) -> str:
        return cast("Resign", acting.body).repository

    async def _resign(self, acting: Acting) -> JobShown:
        ports, wish, profile = self._ports(), cast("Resign", acting.body), acting.path_params["profile"]
        keys_of(profile, ports)
        job = Job(
            id="",
            kind=RESIGN,
            who=acting.holder.who,
            how=acting.holder.how,
            reason=wish.reason,
            created=ports.clock.now(),
            asked={"profile": profile},
            repository=wish.repository,
        )
        return shown(await jobs_of.start(job, self._jobs, job_room(acting.holder, ports)))

    async def _plan_resign(self, acting: Acting) -> tuple[str, ...]:
        ports, wish, profile = self._ports(), cast("Resign", acting.body), acting.path_params["profile"]
        count = await self._signed.count(keys_of(profile, ports), wish.repository)
        key = fingerprint(signers_now(profile, ports)[0].spki)[:12]
        where = f"in {wish.repository}" if wish.repository else "in all repositories"
        return (
            f"go through {count} images {where} that keys of {profile} have signed",
            f"sign with key {key}, for the same names and claims, those that it has not signed yet and upstream has",
            "leave the signatures that are there where they are; pushes and pulls go on meanwhile",
        )
