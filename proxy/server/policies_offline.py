"""A revision of the policies added while no server runs; it is checked as one that comes by the API is."""

from __future__ import annotations

from proxy.config import Settings
from proxy.config.policy_file import PolicyFile
from proxy.oci.faults import ConfigError, Corrupt, Fault
from proxy.policies.change import Change, event_of
from proxy.policies.in_force import Policies
from proxy.policies.process import Here
from proxy.policies.revision import PolicyRevision
from proxy.policies.rules import RulesInForce
from proxy.server.store import Store, open_store
from proxy.store.clock import SystemClock
from proxy.trust.policy import PolicySet
from proxy.trust.token_text import holds_token

WHO, HOW = "operator on the host", "offline"


async def put_in_store(settings: Settings, text: str | None, number: int | None, reason: str) -> PolicyRevision:
    """Return the new revision: with this text, or with that of the numbered one.

    Raises ConfigError, also where a server holds the store; Fault where the text means nothing here; Unavailable.
    """
    if settings.policies_from == "file":
        raise ConfigError(f"policies are pinned to {settings.path}: change them there, or set policies_from: api")
    if not reason.isprintable() or not 0 < len(reason) <= 500 or holds_token(reason):
        raise ConfigError("--reason: one line of 1 to 500 printable characters, without a token in it")
    store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust)
    try:
        return await _added(settings, store, text, number, reason)
    finally:
        await store.close()


async def _added(settings: Settings, store: Store, text: str | None, number: int | None, reason: str) -> PolicyRevision:
    book, clock = store.policy_book, SystemClock()
    if text is None:
        text = await _text_of(store, number or 0)
    policies = Policies(settings, book, RulesInForce(PolicySet("", ())), store.journal, clock, Here())
    file: PolicyFile = await policies.checked(text, "policies.yaml" if number is None else f"revision-{number}")
    tip, parent = await book.tip()
    new = PolicyRevision(tip + 1, parent, text, file.policies.revision, clock.now(), WHO, HOW, reason)
    change = Change(text, "", tip, reason, WHO, HOW, reverts=number)
    if not await book.append(new, file.canonical, event_of(new, ["written while no server ran"], change)):
        raise Fault("UNSUPPORTED", "another revision was added in this moment; look at it first", status=409)
    return new


async def _text_of(store: Store, number: int) -> str:
    try:
        found = await store.policy_book.find(number)
    except Corrupt as altered:
        raise ConfigError(altered.what) from None
    if found is None:
        tip, _ = await store.policy_book.tip()
        raise ConfigError(f"there is no revision {number}; the newest is {tip}")
    return found.text
