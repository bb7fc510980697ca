"""The differences between two sets of policies, by policy and setting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Written = Mapping[str, Any]  # a policy as written in the file, with its defaults added: JSON values


@dataclass(frozen=True)
class Difference:
    """One setting, such as `pull.mode`, with its old and new JSON values."""

    setting: str
    old: Any
    new: Any


@dataclass(frozen=True)
class PolicyChange:
    """The change of one policy; `repositories` are its new patterns, or the old ones if it was removed."""

    repositories: tuple[str, ...]
    change: Literal["added", "removed", "changed"]
    settings: tuple[Difference, ...]


def differences(old: Sequence[Written], new: Sequence[Written], blank: Written) -> tuple[PolicyChange, ...]:
    """Return the differences in the order of the new policies, then the removed ones; order itself is ignored.

    Two policies are the same if they share a pattern: no pattern is in two policies of a set. `blank` is a policy of
    defaults, with which added and removed ones are compared.
    """
    pairs = _pairs(old, new)
    found = []
    for at, policy in enumerate(new):
        before = pairs.get(at)
        if before is None:
            found.append(PolicyChange(_named(policy), "added", _settings(blank, policy, ("repositories",))))
        elif changed := _settings(old[before], policy):
            found.append(PolicyChange(_named(policy), "changed", changed))
    kept = set(pairs.values())
    gone = [policy for at, policy in enumerate(old) if at not in kept]
    found += [PolicyChange(_named(policy), "removed", _settings(policy, blank, ("repositories",))) for policy in gone]
    return tuple(found)


def rendered(changes: Sequence[PolicyChange]) -> list[str]:
    """Return lines for people: a heading per policy, then removed (-) and added (+) values."""
    lines = []
    for changed in changes:
        lines.append(f"{changed.change} {', '.join(changed.repositories)}")
        for setting in changed.settings:
            went, came = _moved(setting.old, setting.new)
            lines += [f"  - {setting.setting}: {_shown(value)}" for value in went]
            lines += [f"  + {setting.setting}: {_shown(value)}" for value in came]
    return lines


def _pairs(old: Sequence[Written], new: Sequence[Written]) -> dict[int, int]:
    """Return the old policy of each new one; pairs that share the most patterns are matched first."""
    owner = {pattern: there for there, before in enumerate(old) for pattern in _named(before)}
    shared = Counter((at, owner[p]) for at, policy in enumerate(new) for p in set(_named(policy)) if p in owner)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for (at, there), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if at not in pairs and there not in taken:
            pairs[at] = there
            taken.add(there)
    return pairs


def _named(policy: Written) -> tuple[str, ...]:
    return tuple(policy["repositories"])


def _settings(old: Written, new: Written, besides: Sequence[str] = ()) -> tuple[Difference, ...]:
    was, now = dict(_leaves(old)), dict(_leaves(new))
    names = [name for name in dict.fromkeys([*now, *was]) if name not in besides]
    return tuple(Difference(n, was.get(n), now.get(n)) for n in names if was.get(n) != now.get(n))


def _leaves(policy: Written, at: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in policy.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", list(value) if isinstance(value, tuple) else value


def _moved(old: Any, new: Any) -> tuple[list[Any], list[Any]]:
    """Return the removed and added values: single list entries, unless only their order differs."""
    if isinstance(old, list) and isinstance(new, list):
        before, after = {_shown(v) for v in old}, {_shown(v) for v in new}
        went, came = [v for v in old if _shown(v) not in after], [v for v in new if _shown(v) not in before]
        if went or came:
            return went, came
    return [old] if old not in (None, []) else [], [new] if new not in (None, []) else []


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True)
