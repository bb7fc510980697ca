"""Checks of policies: referenced names exist, clauses can be satisfied, patterns are not ambiguous."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.schema import ConfigFile, KeylessTrust, KeyTrust, PolicyEntry, TrustEntry, X509Trust
from proxy.config.yaml import Document, Where
from proxy.trust.pattern import COMPARED, Specificity, TooAlike, neighbours, overlap, specificity

Complaint = tuple[Where, str]


@dataclass(frozen=True)
class Signers:
    """The names that policies may use: our keys, each with whether it is for attestations, and `trust` entries.

    Each entry maps to what distinguishes its signer: an authority counts as one signer, however many it certifies, and
    an identity as one, whichever root vouches for it. `path` is the configuration file with these entries.
    """

    path: str
    keys: Mapping[str, bool]
    trust: Mapping[str, str]


def signers(file: ConfigFile, path: str) -> Signers:
    """Return the names that policies may use under this configuration."""
    keys = {name: is_attestation(name, file) for name in file.keys}
    return Signers(path, keys, {name: _signer(entry) for name, entry in file.trust.items()})


def is_attestation(name: str, file: ConfigFile) -> bool:
    """True if this key of ours signs statements about images, never images themselves."""
    return (file.keys[name].purpose or ("attestation" if name == "attestation" else "image")) == "attestation"


def _signer(entry: TrustEntry) -> str:
    match entry:
        case KeyTrust():
            parts = [entry.public_key]
        case X509Trust():
            parts = sorted(set(entry.ca_file))
        case KeylessTrust():
            parts = [each.encode() for each in (entry.issuer, *sorted(set(entry.identities)))]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def complaints(policies: Sequence[PolicyEntry], named: Signers, document: Document) -> Iterator[Complaint]:
    """Yield every contradiction within these policies, between them, or with the configuration."""
    for at, policy in enumerate(policies):
        for position, name in enumerate(policy.push.sign_with):
            where: Where = ("policies", at, "push", "sign_with", position)
            if name in named.trust and name not in named.keys:
                yield where, f"found {name}, which is someone else's key; allowed are ours: {one_of(named.keys)}"
            elif name not in named.keys:
                yield where, f"found {name}, which is not in `keys`; {one_of(named.keys)}"
            elif named.keys[name]:
                yield where, _ATTESTATION.format(name)
        yield from _pull(at, policy, named)
    yield from _overlaps(policies, document)


_ATTESTATION = (
    "found {}, the key for attestations; allowed: a key for images. One key cannot do both: "
    "a stock verifier takes any statement it signed for an image signature"
)


def _pull(at: int, policy: PolicyEntry, named: Signers) -> Iterator[Complaint]:
    pull = policy.pull
    if pull.enforce_after is not None and pull.mode != "warn":
        yield ("policies", at, "pull", "enforce_after"), f"found with mode: {pull.mode}; allowed with mode: warn only"
    for number, clause in enumerate(pull.require):
        here: Where = ("policies", at, "pull", "require", number)
        for position, name in enumerate(clause.signed_by):
            where = (*here, "signed_by", position)
            if name not in named.keys and name not in named.trust:
                yield where, f"found {name}, which is in neither `keys` nor `trust`; {one_of(named.keys, named.trust)}"
            elif named.keys.get(name):
                yield where, _ATTESTATION.format(name)
        different = {named.trust.get(name, name) for name in clause.signed_by}
        if len(set(clause.signed_by)) != len(clause.signed_by):
            yield (*here, "signed_by"), "found the same name twice; list it once"
        elif clause.at_least > len(different):
            most = f"allowed: 1 to {len(different)}, the number of different keys in signed_by"
            yield (*here, "at_least"), f"found {clause.at_least}; {most}"


def _overlaps(policies: Sequence[PolicyEntry], document: Document) -> Iterator[Complaint]:
    """Yield each pair of patterns, from different policies, that match one repository with equal specificity."""
    places: dict[str, dict[int, Where]] = {}
    alike: dict[Specificity, list[str]] = {}
    for at, policy in enumerate(policies):
        for position, pattern in enumerate(policy.repositories):
            places.setdefault(pattern, {}).setdefault(at, ("policies", at, "repositories", position))
            alike.setdefault(specificity(pattern), []).append(pattern)
    shared = [some for some in alike.values() if len({at for pattern in some for at in places[pattern]}) > 1]
    try:
        for other, near in neighbours(shared):
            for second, here in places[other].items():
                for one in near:
                    first, there = next(iter(places[one].items()))
                    if first < second and overlap(one, other):
                        line = document.mark(there).line
                        clash = f"found {other}, as specific as {one} in line {line}, and both can match one repository"
                        yield here, f"{clash}; make one of them more specific, or join the policies"
                        break
    except TooAlike:
        many = f"found too many patterns that are alike to compare them all (more than {COMPARED} pairs)"
        yield ("policies",), f"{many}; give them distinct prefixes or suffixes (team/**, not */team/*)"


def one_of(*tables: Mapping[str, object]) -> str:
    """Return the allowed names, for messages."""
    names = [name for table in tables for name in table]
    return f"allowed: {', '.join(names)}" if names else "none is configured"


def doubts(policies: Sequence[PolicyEntry], named: Signers) -> Iterator[Complaint]:
    """Yield settings that are allowed but probably unintended."""
    if not policies:
        yield ("policies",), "no policy: every repository is closed"
    for at, policy in enumerate(policies):
        pull = policy.pull
        if not pull.require and pull.mode != "off":
            yield ("policies", at, "pull", "require"), "the list is empty, so nobody can pull"
        elif not policy.push.sign_with and pull.mode == "enforce" and not _foreign(policy, named):
            yield ("policies", at, "push", "sign_with"), "pushes are not signed, so what is pushed cannot be pulled"
        if policy.contact is None and pull.mode == "enforce":
            yield ("policies", at), "no contact: a refusal does not tell people whom to ask"
        if policy.push.sign_with and not policy.push.formats:
            yield ("policies", at, "push", "formats"), "the list is empty, so nothing is signed"


def _foreign(policy: PolicyEntry, named: Signers) -> bool:
    return all(any(name in named.trust for name in clause.signed_by) for clause in policy.pull.require)
