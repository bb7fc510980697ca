"""Actions of the routes about keys on tokens, and their plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from proxy.admin.dispatch import Acting, Topic
from proxy.admin.shapes import Why
from proxy.formats.key_evidence import CHECK, encoded
from proxy.keys import custody
from proxy.keys import custody_routes as shapes
from proxy.keys.custody import Sought
from proxy.keys.desk import shown
from proxy.keys.evidence import evidence
from proxy.keys.lifecycle import may_become
from proxy.keys.routes import KeyShown
from proxy.registry.ports_in_use import Ports
from proxy.tokens.inventory_port import TokenInventory
from proxy.tokens.setup import pem
from proxy.tokens.token_key import may_leave
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, KeyState, fingerprint


class CustodyDesk:
    """One method per route; each raises Fault or Unavailable with a message for the caller."""

    def __init__(self, ports: Callable[[], Ports], tokens: TokenInventory) -> None:
        """`ports` returns the current ports."""
        self._ports = ports
        self._tokens = tokens

    def topic(self) -> Topic:
        """Return the action of every route, by name."""
        return Topic(
            {
                "import_key": self._import,
                "rebind_key": self._rebind,
                "backup_key": self._backup,
                "destroy_key": self._destroy,
                "key_evidence": self._evidence,
            },
            {
                "import_key": self._plan_import,
                "rebind_key": self._plan_rebind,
                "backup_key": self._plan_backup,
                "destroy_key": self._plan_destroy,
            },
        )

    async def _import(self, acting: Acting) -> KeyShown:
        profile = acting.path_params["profile"]
        return shown(await custody.take_in(profile, _sought(acting), _actor(acting), self._ports(), self._tokens))

    async def _rebind(self, acting: Acting) -> KeyShown:
        which, token = acting.path_params["fingerprint"], cast("shapes.Rebind", acting.body).token or ""
        return shown(await custody.rebind(which, token, _actor(acting), self._ports(), self._tokens))

    async def _backup(self, acting: Acting) -> KeyShown:
        at = cast("shapes.Backup", acting.body).at
        return shown(await custody.backed_up(acting.path_params["fingerprint"], at, _actor(acting), self._ports()))

    async def _destroy(self, acting: Acting) -> KeyShown:
        which, confirm = acting.path_params["fingerprint"], cast("shapes.Destroy", acting.body).confirm
        return shown(await custody.destroy(which, confirm, _actor(acting), self._ports(), self._tokens))

    async def _evidence(self, acting: Acting) -> shapes.EvidenceShown:
        ports = self._ports()
        made = await evidence(acting.path_params["fingerprint"], ports, self._tokens)
        return shapes.EvidenceShown(
            signed=encoded(made.text),
            signature=encoded(made.signature),
            public_key=pem(made.key.spki).decode(),
            fingerprint=fingerprint(made.key.spki),
            at=ports.clock.now(),
            check=CHECK,
        )

    async def _plan_import(self, acting: Acting) -> tuple[str, ...]:
        profile = acting.path_params["profile"]
        held = await custody.may_take_in(profile, _sought(acting), self._ports(), self._tokens)
        name = f"key {fingerprint(held.spki)[:12]}, {held.label!r} (id {held.key_id}) on token {held.token}"
        told = ", ".join(f"{n}={'not told' if v is None else v}" for n, v in held.attributes.items())
        steps = [f"let {name}, {held.algorithm}, prove itself by a signature; its attributes: {told}"]
        if (why := may_leave(held.attributes)) is not None:
            steps.append(f"take it although it may have copies elsewhere ({why})")
        return (*steps, f"record it as prepared for {profile}: it verifies, and signs nothing before it is activated")

    async def _plan_rebind(self, acting: Acting) -> tuple[str, ...]:
        which, token = acting.path_params["fingerprint"], cast("shapes.Rebind", acting.body).token or ""
        known, held = await custody.may_rebind(which, token, self._ports(), self._tokens)
        before = f"token {known.token}, serial {known.token_serial}, {known.label!r}"
        now = f"token {held.token}, serial {held.token_serial}, {held.label!r}"
        return (f"let {_named(known)} prove itself by a signature on {now}", f"record that place instead of {before}")

    async def _plan_backup(self, acting: Acting) -> tuple[str, ...]:
        at = cast("shapes.Backup", acting.body).at
        key = custody.may_be_backed_up(acting.path_params["fingerprint"], at, self._ports())
        return (f"note that {_named(key)} was backed up {'now' if at is None else f'at {at.isoformat()}'}",)

    async def _plan_destroy(self, acting: Acting) -> tuple[str, ...]:
        key = may_become(acting.path_params["fingerprint"], KeyState.DESTROYED, self._ports())
        where = f"token {key.token}, serial {key.token_serial}"
        return (
            f"let {_named(key)} prove itself by a signature, then destroy both its halves on {where}",
            "record it as destroyed; there is no way back, and backups of the token still have it",
        )


def _sought(acting: Acting) -> Sought:
    wish = cast("shapes.Import", acting.body)
    return Sought(wish.label or "", wish.id, wish.token or "", wish.accept_extractable)


def _actor(acting: Acting) -> Actor:
    return Actor(acting.holder.who, acting.holder.how, cast("Why", acting.body).reason, acting.request_id)


def _named(key: BookKey) -> str:
    return f"key {fingerprint(key.spki)[:12]} of {key.profile}"
