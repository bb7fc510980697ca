"""The allowed state changes of our keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.trust.keys import BookKey, KeyState

# An unneeded prepared key is retired directly. No key returns to an earlier state.
NEXT: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.PREPARED: frozenset({KeyState.ACTIVE, KeyState.RETIRED, KeyState.COMPROMISED}),
    KeyState.ACTIVE: frozenset({KeyState.TRUSTED, KeyState.COMPROMISED}),
    KeyState.TRUSTED: frozenset({KeyState.RETIRED, KeyState.COMPROMISED}),
    KeyState.RETIRED: frozenset({KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.DESTROYED: frozenset({KeyState.COMPROMISED}),  # a copy of the key may turn up later
    KeyState.COMPROMISED: frozenset(),
}


def refusal(key: BookKey, to: KeyState) -> str | None:
    """Return None if this key may enter that state, else the reason and an alternative."""
    if to in NEXT[key.state]:
        return None
    name = key.described
    rotate = f"countersign keys rotate {key.profile} --on {key.token} --reason TEXT"
    if key.state is to:
        return f"{name} is {to} already; nothing was changed"
    if to is KeyState.DESTROYED and key.state is not KeyState.COMPROMISED:
        retire = f"countersign keys retire {key.short} --reason TEXT"
        first = f"{rotate}; then: " if key.state is KeyState.ACTIVE else ""
        blocks = "" if key.state is KeyState.PREPARED else " (blocks images that only it has signed)"
        return f"{name} is {key.state}; only a retired key can be destroyed: {first}{retire}{blocks}"
    if key.state is KeyState.ACTIVE:
        return f"{name} is active: replace it first: {rotate}"
    if to is KeyState.ACTIVE:
        return f"{name} is {key.state}, and only a prepared key becomes active; make a new one: {rotate}"
    return f"{name} is {key.state}; from there it cannot become {to}"
