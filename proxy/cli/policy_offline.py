"""Changes policies in the store while no server runs, for when the newest revision prevents a start."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from proxy.cli.agreed import Confirmation, confirmed
from proxy.cli.ask import json_out, lines_out
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.options import actor_offline, find
from proxy.config import Settings, load
from proxy.config.policy_file import PolicyFile
from proxy.oci.faults import ConfigError, Conflict, Corrupt
from proxy.policies.in_force import Policies, RulesInForce
from proxy.policies.process import Here
from proxy.policies.revision import Change, PolicyRevision, event_of
from proxy.server.store import Store, open_store
from proxy.store.clock import SystemClock
from proxy.trust.actor import Actor
from proxy.trust.policy import PolicySet


def changed(given: Mapping[str, Any]) -> Exit:
    """Add a revision with the policies of the typed file, or of the typed revision, and print its number."""
    settings, number = load(find(given["config"], os.environ)), given.get("number")
    manner = Confirmation(given["dry_run"], given["yes"], given["output"])
    wish = given.get("text"), None if number is None else int(number), given["reason"]
    new = asyncio.run(put_in_store(settings, *wish, lambda plan: confirmed(plan, manner, diff=True)))
    if isinstance(new, Exit):
        return new
    if given["output"] is OutputFormat.JSON:
        return json_out({"number": new.number, "hash": new.hash, "policies": new.policies})
    return lines_out([f"revision {new.number} will be in force when a server starts (policies {new.policies[:12]})"])


async def put_in_store(
    settings: Settings, text: str | None, number: int | None, reason: str,
    left: Callable[[Sequence[str]], Exit | None] = lambda _: None,
) -> PolicyRevision | Exit:  # fmt: skip
    """Return the new revision, with this text or that of the numbered revision. The admin API's checks apply.

    It is the newest one if that has this text already; what `left` returns for the difference, unless that is None.
    Raises ConfigError, also if a server holds the store; Fault if the text is not valid here; Unavailable.
    """
    if settings.policies_from == "file":
        raise ConfigError(f"policies are pinned to {settings.path}: change them there, or set policies_from: api")
    by = actor_offline(reason)
    store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust)
    try:
        wanted = await _text_of(store, number or 0) if text is None else text
        there = await _newest(store)
        if there is not None and there.text == wanted:
            sys.stderr.write(f"nothing to do: revision {there.number} has exactly this text\n")
            return there
        plan = unified_diff((there.text if there else "").splitlines(), wanted.splitlines(), n=1, lineterm="")
        code = left([*plan][2:])
        return await _added(settings, store, wanted, number, by) if code is None else code
    finally:
        await store.close()


async def _newest(store: Store) -> PolicyRevision | None:
    try:
        return await store.policy_book.newest()
    except Corrupt:
        return None


async def _added(settings: Settings, store: Store, text: str, number: int | None, by: Actor) -> PolicyRevision:
    book, clock = store.policy_book, SystemClock()
    policies = Policies(settings, book, RulesInForce(PolicySet("", ())), store.journal, clock, Here())
    file: PolicyFile = await policies.checked(text, "policies.yaml" if number is None else f"revision-{number}")
    tip, parent = await book.tip()
    now, means = clock.now(), file.policies.revision
    new = PolicyRevision(tip + 1, parent, text, means, now, by.name, by.authenticated_by, by.reason)
    change = Change(text, "", tip, by, reverts=number)
    if not await book.append(new, file.canonical, event_of(new, ["written while no server ran"], change)):
        raise Conflict("another revision was added at the same moment; review it first")
    return new


async def _text_of(store: Store, number: int) -> str:
    try:
        found = await store.policy_book.find(number)
    except Corrupt as altered:
        raise ConfigError(altered.what) from None
    if found is None:
        tip, _ = await store.policy_book.tip()
        raise ConfigError(f"no revision {number}; the newest is {tip}")
    return found.text
