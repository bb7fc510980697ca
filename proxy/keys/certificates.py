"""Certificates for our keys: the certificate request, the issued chain, or a self-signed chain for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.formats.certificate import parse_certificate, spki_of, window
from proxy.formats.chain import problems
from proxy.journal.event import EventKind
from proxy.keys.lifecycle import ALONE, find, key_event
from proxy.oci.faults import Conflict, Invalid, Unavailable
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import VERIFYING, BookKey, fingerprint

BEGINS_BEFORE = timedelta(minutes=5)  # tolerance for clocks of other machines


@dataclass(frozen=True)
class Planned:
    """A valid chain for a key, and the notes to show to the person who sets it."""

    key: BookKey
    chain: tuple[bytes, ...]
    notes: tuple[str, ...]


async def request_certificate(which: str, subject: str, ports: Ports) -> bytes:
    """Return a certificate request (DER) for this key, signed by it. Raises Fault, Unavailable."""
    return await ports.certifier.csr(may_have_chain(which, ports), subject)


async def self_sign(which: str, subject: str, days: int, actor: Actor, ports: Ports) -> BookKey:
    """Give the key a self-signed chain of one certificate, for development. Raises Fault, Unavailable."""
    key, now = may_have_chain(which, ports), ports.clock.now().replace(microsecond=0)
    ends = now + timedelta(days=days)
    made = await ports.certifier.self_signed(key, subject, now - BEGINS_BEFORE, ends)
    return await _set(plan(which, (made,), ports), actor, ports)


async def set_chain(which: str, chain: tuple[bytes, ...], actor: Actor, ports: Ports) -> BookKey:
    """Give the key this chain (DER, leaf to root) in place of its previous one. Raises Fault, Unavailable."""
    return await _set(plan(which, chain, ports), actor, ports)


def plan(which: str, chain: tuple[bytes, ...], ports: Ports) -> Planned:
    """Return the effect of setting this chain. Raises Fault that names every violated rule and its remedy."""
    key = may_have_chain(which, ports)
    if broken := objections(key, chain, ports.clock.now()):
        told = "; ".join(f"({number}) {text}" for number, text in enumerate(broken, 1))
        raise Invalid(f"this chain cannot be key {key.short}'s: {told}")
    return Planned(key, chain, notes(key, chain))


def may_have_chain(which: str, ports: Ports) -> BookKey:
    """Return the key, if its state allows certificates. Raises Fault."""
    key = find(which, ports)
    if key.state not in VERIFYING:
        text = f"{key.described} is {key.state}; a key that no longer counts gets no certificate"
        raise Conflict(text)
    return key


def objections(key: BookKey, chain: tuple[bytes, ...], now: datetime) -> tuple[str, ...]:
    """Return every reason why this chain cannot be the key's, each with its remedy."""
    found = [problem.text for problem in problems(chain, now)]
    try:
        owners = [spki_of(one) for one in chain]
    except ValueError:  # already reported
        return tuple(found)
    if chain and owners[0] != key.spki:
        name = key.short
        if key.spki in owners:
            fix = f"its certificate is number {owners.index(key.spki) + 1} in the file; put it first"
        else:
            fix = f"request one for it: countersign keys csr {name} --subject NAME"
        found.insert(0, f"the first certificate is not for key {name}; {fix}")
    return tuple(found)


def notes(key: BookKey, chain: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return what changes for verifiers, compared with the previous chain."""
    _, ends = window(chain)
    leaf, root = parse_certificate(chain[0]), parse_certificate(chain[-1])
    told = [f"certify it as {_name(leaf.subject.rfc4514_string())} until {ends:%Y-%m-%d %H:%M} UTC"]
    if len(chain) == 1:
        told.append("it is self-signed: use it for development only")
    else:
        told.append(f"verifiers must trust the root {_name(root.subject.rfc4514_string())}")
    if key.chain:
        old_leaf, old_ends = parse_certificate(key.chain[0]), window(key.chain)[1]
        if old_leaf.subject != leaf.subject:
            told.append(
                f"the subject was {_name(old_leaf.subject.rfc4514_string())}: verifiers that name it must change"
            )
        if key.chain[-1] != chain[-1]:
            told.append("the root has changed: verifiers must trust the new one first")
        if ends < old_ends:
            told.append(f"it expires earlier than the previous chain, which expires at {old_ends:%Y-%m-%d %H:%M} UTC")
    return tuple(told)


async def _set(planned: Planned, actor: Actor, ports: Ports) -> BookKey:
    name, chain = planned.key.fingerprint, planned.chain
    ends = window(chain)[1]
    detail = {
        "subject": _name(parse_certificate(chain[0]).subject.rfc4514_string()),
        "issuer": _name(parse_certificate(chain[0]).issuer.rfc4514_string()),
        "serial": f"{parse_certificate(chain[0]).serial_number:x}",
        "until": ends.isoformat(timespec="seconds"),
        "certificates": " ".join(fingerprint(one) for one in chain),
    }
    async with ports.cache.lock(ALONE):
        key = may_have_chain(name, ports)
        record = (key_event(EventKind.KEY_CHAIN, key, actor, detail, ports),)
        try:
            await ports.keybook.amend(name, {"chain": chain}, record=record)
        except Unavailable as away:
            say = f"{away.what}; `countersign keys chain show {name[:12]}` says whether it took effect"
            raise Unavailable(say) from None
    return find(name, ports)


def _name(text: str) -> str:
    """Return a subject as text that is safe to display anywhere."""
    return ascii(text[:200])[1:-1]
