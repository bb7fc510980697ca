"""Which states a key of ours may go to from which. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.trust.keys import BookKey, KeyState, fingerprint

# A key that nobody needs after all goes from prepared straight to retired. No key comes back.
NEXT: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.PREPARED: frozenset({KeyState.ACTIVE, KeyState.RETIRED, KeyState.COMPROMISED}),
    KeyState.ACTIVE: frozenset({KeyState.TRUSTED, KeyState.COMPROMISED}),
    KeyState.TRUSTED: frozenset({KeyState.RETIRED, KeyState.COMPROMISED}),
    KeyState.RETIRED: frozenset({KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.DESTROYED: frozenset({KeyState.COMPROMISED}),  # it may turn out that there was a copy
    KeyState.COMPROMISED: frozenset(),
}


def refusal(key: BookKey, to: KeyState) -> str | None:
    """Return None where this key may go to that state, else why not and what to do instead."""
    if to in NEXT[key.state]:
        return None
    name = f"key {fingerprint(key.spki)[:12]} of {key.profile}"
    rotate = f"countersign keys rotate {key.profile} --on {key.token} --reason TEXT"
    if key.state is to:
        return f"{name} is {to} already; nothing was changed"
    if to is KeyState.DESTROYED and key.state is not KeyState.COMPROMISED:
        retire = f"countersign keys retire {fingerprint(key.spki)[:12]} --reason TEXT"
        first = f"{rotate}; then: " if key.state is KeyState.ACTIVE else ""
        blocks = "" if key.state is KeyState.PREPARED else " (blocks images that only it has signed)"
        return f"{name} is {key.state}; only a retired key can be destroyed: {first}{retire}{blocks}"
    if key.state is KeyState.ACTIVE:
        return f"{name} is active: let another take its place first: {rotate}"
    if to is KeyState.ACTIVE:
        return f"{name} is {key.state}, and only a prepared key becomes active; make a new one: {rotate}"
    return f"{name} is {key.state}; from there it cannot become {to}"
