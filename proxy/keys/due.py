"""What a schedule does to keys: they are made, activated and retired when it is time, by one server alone.

A scheduled rotation makes a key that is to begin at a moment, and a later look activates it: killed anywhere between,
the next look goes on from what the key book says. A key made twice is recorded once, because the second one comes after
a key that is no longer active.
"""

from __future__ import annotations

from proxy.keys import lifecycle
from proxy.oci.duration import span_text
from proxy.oci.faults import Fault, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.schedule import ChangeKind, KeyPlan, ScheduledChange, begins, due

STEPS = 16  # changes made at one look; the rest waits for the next


async def run_due(ports: Ports) -> int:
    """After this nothing is due any more. Return how many changes that took. Raises Unavailable for what failed.

    The caller has read the key book just now, and is the only one who does this.
    """
    done, failed = 0, dict[tuple[ChangeKind, str], str]()
    while done < STEPS:
        todo = due(ports.keybook.ring(), ports.plans, ports.clock.now())
        this = next((each for each in todo if (each.what, each.key) not in failed), None)
        if this is None:
            break
        try:
            await _do(this, ports)
        except (Fault, Unavailable) as why:  # what is due for other keys is done all the same
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
        why = f"it was prepared to begin at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await lifecycle.activate(this.key, *lifecycle.BY_ITSELF, why, ports)
    else:
        why = f"it was to be retired at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await lifecycle.retire(this.key, *lifecycle.BY_ITSELF, why, ports)


async def _rotate(old: BookKey, plan: KeyPlan, ports: Ports) -> None:
    if old.state is not KeyState.ACTIVE or plan.rotate_every is None:
        raise Fault("DENIED", f"key {fingerprint(old.spki)[:12]} of {old.profile} is {old.state} by now", status=409)
    at = begins(old, plan, ports.clock.now())
    why = f"keys.{old.profile}.rotate_every is {span_text(plan.rotate_every)}"
    await lifecycle.schedule(old.profile, old.token, at, why, ports, plan.terms)
