"""Scheduled key changes: keys are made, activated and retired at their time, by only one server.

A scheduled rotation makes a key with an activation time, and a later run activates it: after a crash at any step, the
next run continues from the key book. A key made twice is recorded once, because the second one names a predecessor that
is no longer active.
"""

from __future__ import annotations

from proxy.keys import lifecycle
from proxy.oci.duration import span_text
from proxy.oci.faults import Conflict, Fault, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState
from proxy.trust.schedule import ChangeKind, KeyPlan, ScheduledChange, begins, due

STEPS = 16  # most changes in one run; the next run does the rest


async def run_due(ports: Ports) -> int:
    """Make all changes that are due and return their number. Raises Unavailable with those that failed.

    The caller has just read the key book, and is the only one that runs this.
    """
    done, failed = 0, dict[tuple[ChangeKind, str], str]()
    while done < STEPS:
        todo = due(ports.keybook.ring(), ports.plans, ports.clock.now())
        this = next((each for each in todo if (each.what, each.key) not in failed), None)
        if this is None:
            break
        try:
            await _do(this, ports)
        except (Fault, Unavailable) as why:  # other keys' changes must still be made
            failed[this.what, this.key] = f"{this.profile}: {this.what} of key {this.key[:12]}: {why}"
        else:
            done += 1
    if failed:
        raise Unavailable("; ".join(failed.values()))
    return done


async def _do(this: ScheduledChange, ports: Ports) -> None:
    key = lifecycle.find(this.key, ports)
    if this.what is ChangeKind.ROTATE:
        await _rotate(key, ports.plans[this.profile], ports)
    elif this.what is ChangeKind.ACTIVATE:
        why = f"it was scheduled to begin at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await lifecycle.activate(this.key, _scheduled(why), ports)
    else:
        why = f"it was scheduled to be retired at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await lifecycle.retire(this.key, _scheduled(why), ports)


async def _rotate(old: BookKey, plan: KeyPlan, ports: Ports) -> None:
    if old.state is not KeyState.ACTIVE or plan.rotate_every is None:
        raise Conflict(f"{old.described} is {old.state} by now")
    at = begins(old, plan, ports.clock.now())
    why = f"keys.{old.profile}.rotate_every is {span_text(plan.rotate_every)}"
    await lifecycle.schedule(old.profile, old.token, at, _scheduled(why), ports, plan.terms)


def _scheduled(why: str) -> Actor:
    return Actor("countersign", "schedule", why)
