"""What would be done about a lost key, in words for who is asked."""

from __future__ import annotations

from proxy.keys.lost import Loss, may_be_lost, others, places
from proxy.registry.ports_in_use import Ports
from proxy.trust.keys import KeyState, fingerprint


def lost_steps(key: str, loss: Loss, ports: Ports) -> tuple[str, ...]:
    """Return the steps, in order. Raises Fault where it may not be done."""
    gone = may_be_lost(key, loss, ports)
    name, steps = f"key {fingerprint(gone.spki)[:12]} of {gone.profile}", []
    if (where := places(gone, loss, ports)) != ():
        waiting = ports.keybook.ring().prepared(gone.profile, where[0])
        which = "make a key" if waiting is None else f"let the prepared key {fingerprint(waiting.spki)[:12]}"
        steps += [f"{which} on token {where[0]} sign for {gone.profile} from now on"]
        steps += [f"where that token does not work: on token {token}" for token in where[1:]]
    if gone.state is KeyState.ACTIVE and (left := others(gone, ports)):
        steps += [f"sign with the key of token {left[0]} where none can be made"]
    if loss.compromised:
        steps += [f"block every image that only {name} has signed (key_compromised); there is no way back"]
    elif gone.state is KeyState.PREPARED:
        steps += [f"give up {name}: it will never sign"]
    else:
        steps += [f"keep {name} as trusted: what it signed still verifies, and it signs no more"]
    return tuple(steps)
