"""What a schedule does to keys: they are made, activated and retired when it is time, by one server alone.

A scheduled rotation makes a key that is to begin at a moment, and a later look activates it: killed anywhere between,
the next look goes on from what the key book says. A key made twice is recorded once, because the second one comes after
a key that is no longer active.
"""

from __future__ import annotations

from proxy.flows import keylife
from proxy.flows.house import House
from proxy.oci.faults import Fault, Unavailable
from proxy.trust.keys import BookKey, KeyState, fingerprint
from proxy.trust.schedule import Coming, KeyPlan, What, begins, due
from proxy.trust.span import span_text

STEPS = 16  # changes made at one look; the rest waits for the next


async def keep_times(house: House) -> int:
    """After this nothing is due any more. Return how many changes that took. Raises Unavailable for what failed.

    The caller has read the key book just now, and is the only one who does this.
    """
    done, failed = 0, dict[tuple[What, str], str]()
    while done < STEPS:
        todo = due(house.keybook.ring(), house.plans, house.clock.now())
        this = next((each for each in todo if (each.what, each.key) not in failed), None)
        if this is None:
            break
        try:
            await _do(this, house)
        except (Fault, Unavailable) as why:  # what is due for other keys is done all the same
            failed[this.what, this.key] = f"{this.profile}: {this.what} of key {this.key[:12]}: {why}"
        else:
            done += 1
    if failed:
        raise Unavailable("; ".join(failed.values()))
    return done


async def _do(this: Coming, house: House) -> None:
    key = keylife.find(this.key, house)
    if this.what is What.ROTATE:
        await _rotate(key, house.plans[this.profile], house)
    elif this.what is What.ACTIVATE:
        why = f"it was prepared to begin at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await keylife.activate(this.key, *keylife.BY_ITSELF, why, house)
    else:
        why = f"it was to be retired at {this.at:%Y-%m-%dT%H:%M:%SZ}"
        await keylife.retire(this.key, *keylife.BY_ITSELF, why, house)


async def _rotate(old: BookKey, plan: KeyPlan, house: House) -> None:
    if old.state is not KeyState.ACTIVE or plan.rotate_every is None:
        raise Fault("DENIED", f"key {fingerprint(old.spki)[:12]} of {old.profile} is {old.state} by now", status=409)
    at = begins(old, plan, house.clock.now())
    why = f"keys.{old.profile}.rotate_every is {span_text(plan.rotate_every)}"
    await keylife.schedule(old.profile, old.token, at, why, house, plan.terms)
