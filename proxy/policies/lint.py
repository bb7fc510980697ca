"""Find policies without effect: patterns that never win, names that never count, keys that never help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from proxy.oci.faults import Fault
from proxy.oci.reference import parse_repository
from proxy.trust.keys import VERIFYING, KeyRing
from proxy.trust.pattern import COMPARED, TooAlike, covers, matches, neighbours, overlap, specificity
from proxy.trust.policy import Policy

Level = Literal["warning", "note"]
Where = tuple[str | int, ...]
ANYBODY = "*"
SHOWN = 5  # repositories that a finding names


@dataclass(frozen=True)
class LintFinding:
    """A probable mistake in a policy; `where` is the setting, as a path from the top of the file."""

    level: Level
    code: str
    where: Where
    text: str


@dataclass(frozen=True)
class KeyLook:
    """What a key profile can do now: sign, sign with certificates, verify anything."""

    signs: bool
    certified: bool
    verifies: bool


def looks(profiles: Iterable[str], ring: KeyRing) -> Mapping[str, KeyLook]:
    """Return what these key profiles can do according to the key book."""
    found = {}
    for name in profiles:
        key = ring.active(name)
        alive = any(verifier.state in VERIFYING for verifier in ring.verifiers(name))
        found[name] = KeyLook(key is not None, key is not None and bool(key.chain), alive)
    return found


@dataclass(frozen=True)
class LintContext:
    """The context of policies: our key profiles for images, the names in `trust`, the time.

    `names_proven` tells whether upstream authenticates callers; None if that is unknown. `base` are the patterns in
    force, `known` the repositories with images that went through here.
    """

    keys: Mapping[str, KeyLook]
    trust: tuple[str, ...]
    now: datetime
    names_proven: bool | None = None
    base: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def lint(policies: Sequence[Policy], around: LintContext) -> tuple[LintFinding, ...]:
    """Return all findings, policy by policy, then the keys and trusted names that no policy uses."""
    found = list(_patterns(policies))
    for at, policy in enumerate(policies):
        found += [*_pull(at, policy, around), *_push(at, policy, around), *_names(at, policy, around)]
    by_place = sorted(found, key=lambda finding: _order(finding.where))
    return (*by_place, *_left(policies, around), *_unused(policies, around))


def _order(where: Where) -> tuple[int, ...]:
    return tuple(step for step in where if isinstance(step, int))


def _patterns(policies: Sequence[Policy]) -> Iterator[LintFinding]:
    """Check each pattern against similar ones: more specific patterns, and one of its own policy that covers it."""
    owners: dict[str, set[int]] = {}
    for at, policy in enumerate(policies):
        for pattern in policy.repositories:
            owners.setdefault(pattern, set()).add(at)
    try:
        near = dict(neighbours([owners]))
    except TooAlike:
        text = f"patterns are not compared: too many begin and end alike (more than {COMPARED} pairs)"
        yield LintFinding("note", "patterns-not-compared", ("policies",), text)
        near = {}
    rank = {pattern: specificity(pattern) for pattern in owners}
    for at, policy in enumerate(policies):
        before: set[str] = set()
        for position, pattern in enumerate(policy.repositories):
            where: Where = ("policies", at, "repositories", position)
            own, around = rank[pattern], near.get(pattern, [])
            if (wrong := _impossible(pattern)) is not None:
                yield LintFinding(
                    "warning", "pattern-matches-nothing", where, f"{pattern} matches no repository: {wrong}"
                )
            elif better := next((p for p in around if rank[p] > own and covers(p, pattern)), None):
                text = f"{pattern} never wins: {better} matches all its names and is more specific"
                yield LintFinding("warning", "pattern-never-wins", where, text)
            elif wide := _wider(pattern, [p for p in around if at in owners[p]], before):
                floor = rank[wide]
                between = (p for p in around if floor <= rank[p] < own and owners[p] != {at})
                if not any(overlap(p, pattern) for p in between):
                    text = f"{pattern} adds nothing: {wide} of the same policy matches all its names"
                    yield LintFinding("note", "pattern-adds-nothing", where, text)
            before.add(pattern)


def _wider(pattern: str, own: Sequence[str], before: set[str]) -> str | None:
    """Return the most specific other pattern of the policy that matches all names of this one, or None."""
    if pattern in before:
        return pattern
    return max((p for p in own if covers(p, pattern) and not covers(pattern, p)), key=specificity, default=None)


def _impossible(pattern: str) -> str | None:
    """Return why no repository can have such a name, or None."""
    for segment in pattern.split("/"):
        if "*" not in segment:
            try:
                parse_repository(segment)
            except Fault:
                return f"{segment!a} is not a part of a repository's name"
        elif not (segment[0] + segment[-1]).replace("*", "a").isalnum():
            return f"a part of a name begins and ends with a letter or digit, not as {segment!a} does"
    return None


def _pull(at: int, policy: Policy, around: LintContext) -> Iterator[LintFinding]:
    pull, where = policy.pull, ("policies", at, "pull")
    if pull.mode == "warn" and pull.enforce_after is not None and pull.enforce_after <= around.now:
        text = f"enforce_after was {pull.enforce_after:%Y-%m-%d %H:%M}Z: this is `mode: enforce` now; write that"
        yield LintFinding("warning", "enforce-after-is-past", (*where, "enforce_after"), text)
    if pull.mode == "off":
        text = "nothing is checked: everything in the registry is served"
        yield LintFinding("note", "pulls-not-judged", (*where, "mode"), text)
        return
    if pull.mode_at(around.now) == "enforce":
        if pull.blobs == "open":
            text = "anyone can fetch the layers of blocked images by digest"
            yield LintFinding("warning", "blobs-open", (*where, "blobs"), text)
        if pull.head_on_denied:
            text = "HEAD of a blocked image is answered: a cached copy then starts unchecked"
            yield LintFinding("warning", "head-on-denied", (*where, "head_on_denied"), text)
    for number, clause in enumerate(pull.require):
        dead = [n for n in clause.signed_by if n in around.keys and not around.keys[n].verifies]
        alive = len(clause.signed_by) - len(dead)
        if dead and alive < clause.at_least:
            text = f"no image can satisfy this: no key of {', '.join(dead)} verifies any more"
            yield LintFinding("warning", "clause-cannot-hold", (*where, "require", number), text)


def _push(at: int, policy: Policy, around: LintContext) -> Iterator[LintFinding]:
    push, pull, where = policy.push, policy.pull, ("policies", at, "push")
    counted = {name for clause in pull.require for name in clause.signed_by}
    for position, name in enumerate(push.sign_with):
        here, key = (*where, "sign_with", position), around.keys.get(name)
        if key is None or not key.signs:
            yield LintFinding("warning", "no-active-key", here, f"{name} has no active key: pushes here are refused")
        elif not key.certified and (notary := [each for each in push.formats if each.startswith("notation-")]):
            text = f"the key of {name} has no certificate chain, so {' and '.join(notary)} are not written"
            yield LintFinding("warning", "no-chain", here, text)
        if pull.require and pull.mode != "off" and name not in counted:
            text = f"pushes are signed with {name}, and no clause of pull.require counts it"
            yield LintFinding("warning", "signed-and-not-required", here, text)
    if push.sign_with and pull.mode != "off":
        signing = set(push.sign_with)
        for number, clause in enumerate(pull.require):
            ours = signing.intersection(clause.signed_by)
            if len(ours) < clause.at_least and signing & counted:
                need = clause.at_least - len(ours)
                text = f"a push alone does not satisfy this: {need} more must sign ({', '.join(clause.signed_by)})"
                yield LintFinding("note", "others-must-sign", ("policies", at, "pull", "require", number), text)
    if not push.allow:
        yield LintFinding(
            "note", "nobody-may-push", (*where, "allow"), "the list is empty: nobody may push or delete here"
        )
    everybody = ANYBODY in push.allow
    for position, name in enumerate(push.allow):
        if name != ANYBODY and everybody:
            text = f"{name} adds nothing: * already means everybody"
            yield LintFinding("note", "name-adds-nothing", (*where, "allow", position), text)


def _names(at: int, policy: Policy, around: LintContext) -> Iterator[LintFinding]:
    """Check lists of people: a name counts only if upstream would refuse it with another password."""
    lists = {("pull", "reviewers"): policy.pull.reviewers}
    if ANYBODY not in policy.push.allow:
        lists["push", "allow"] = policy.push.allow
    for setting, names in lists.items():
        if not names:
            continue
        where: Where = ("policies", at, *setting)
        if around.names_proven is False:
            text = "upstream proves no names (it admits any name), so these names never match"
            yield LintFinding("warning", "names-not-proven", where, text)
        elif around.names_proven is None:
            text = "could not determine whether upstream proves names; see `countersign doctor`"
            yield LintFinding("note", "names-not-looked-at", where, text)
    for position, name in enumerate(policy.pull.reviewers):
        if "*" in name:
            text = f"{name} is taken literally: wildcards do not work here, so it matches nobody"
            yield LintFinding("warning", "no-wildcard", ("policies", at, "pull", "reviewers", position), text)
    for position, name in enumerate(policy.push.allow):
        if "*" in name and name != ANYBODY:
            text = f"{name} is taken literally: only * alone means everybody, so it matches nobody"
            yield LintFinding("warning", "no-wildcard", ("policies", at, "push", "allow", position), text)


def left_without(base: Iterable[str], patterns: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return those known repositories that patterns of `base` match, and none of these. Raises TooAlike."""
    new, left = set(patterns), COMPARED
    gone = set(base) - new
    found: Sequence[str] = known if gone else ()
    for among, wanted in ((gone, True), (new, False)):
        wild = [pattern for pattern in among if "*" in pattern]
        left -= len(found) * len(wild)
        if left < 0:
            raise TooAlike
        found = [name for name in found if wanted is (name in among or any(matches(each, name) for each in wild))]
    return tuple(found)


def _left(policies: Sequence[Policy], around: LintContext) -> Iterator[LintFinding]:
    try:
        found = left_without(around.base, [p for policy in policies for p in policy.repositories], around.known)
    except TooAlike:
        text = f"not known whether repositories are left without a policy: more than {COMPARED} comparisons"
        yield LintFinding("note", "repositories-not-compared", ("policies",), text)
        return
    if found:
        yield LintFinding("warning", "left-without-policy", ("policies",), f"{none_for(found)}; add a policy for them")


def none_for(repositories: Sequence[str], total: int = 0) -> str:
    """Return the warning about repositories without a policy; `total` of them, if not all are given."""
    total = total or len(repositories)
    more = f" and {total - SHOWN} more" if total > SHOWN else ""
    verb = "matches" if total == 1 else "match"
    return f"{', '.join(repositories[:SHOWN])}{more} {verb} no policy any more: every pull and push is refused there"


def _unused(policies: Sequence[Policy], around: LintContext) -> Iterator[LintFinding]:
    if not policies:
        yield LintFinding("warning", "no-policy", ("policies",), "no policy: every repository is closed")
    named = {name for p in policies for clause in p.pull.require for name in clause.signed_by}
    named |= {name for p in policies for name in p.push.sign_with}
    for name in around.trust:
        if name not in named:
            text = f"{name} is in `trust` and no policy names it: its signatures count nowhere"
            yield LintFinding("note", "trust-not-used", ("trust", name), text)
    for name in around.keys:
        if name not in named:
            yield LintFinding("note", "key-not-used", ("keys", name), f"{name} is in `keys` and no policy names it")
