"""The checks of `countersign doctor` on tokens, keys, store and disk: each independent, none changes anything."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import make_url

from hsm import KeyInfo, TokenError
from hsm.mechanisms import algorithm_named, way_to_sign
from proxy.config import Settings
from proxy.config.advice import init_again, quoted, restore_or_lose
from proxy.formats.format import Scheme
from proxy.oci.faults import ConfigError, Unavailable
from proxy.server.store import NoStoreYet, open_store
from proxy.server.token_plans import tokens_plan
from proxy.store.clock import SystemClock
from proxy.tokens.schemes import schemes, waiting
from proxy.tokens.setup import Seen, look, strays
from proxy.trust.keys import VERIFYING, BookKey, KeyState, fingerprint

State = Literal["ok", "warning", "wrong", "skipped"]
# Required attributes of a private key (PKCS#11 2.40, 4.9); attributes that a token does not report are listed.
_MUST = {"SENSITIVE": True, "EXTRACTABLE": False}
_SHOULD = {"ALWAYS_SENSITIVE": True, "NEVER_EXTRACTABLE": True, "LOCAL": True, "DERIVE": False}
ROOM = "room for the record"
FULL = 16 << 20  # bytes: with less, the next pushes may be refused
LITTLE = 512 << 20  # bytes: about a month of a busy registry


@dataclass(frozen=True)
class DoctorFinding:
    """The result of one check, with a fix when something is wrong."""

    name: str
    state: State
    detail: str
    fix: str = ""
    inner: tuple[DoctorFinding, ...] = ()

    @property
    def worst(self) -> State:
        """The worst state of this finding and of all findings within it."""
        order: tuple[State, ...] = ("wrong", "warning", "skipped", "ok")
        return min([self.state, *(f.worst for f in self.inner)], key=order.index)


async def check_tokens(settings: Settings) -> DoctorFinding:
    """Check every token, its mechanisms and the attributes of its keys."""
    if not settings.tokens:
        return DoctorFinding("tokens", "warning", "none is configured, so nothing is signed", "add one under tokens:")
    ours = await _recorded(settings)
    found = [await _token(name, settings, ours) for name in settings.tokens]
    found += [
        DoctorFinding(f"certificates of {each.profile}", "wrong" if each.alone else "warning", each.says, each.fix)
        for each in waiting(settings.policies.policies, ours)
    ]
    return DoctorFinding("tokens", "ok", f"{len(settings.tokens)} configured", inner=tuple(found))


async def _recorded(settings: Settings) -> tuple[BookKey, ...]:
    """Return the key book; empty when the store does not exist or does not answer (another check reports that)."""
    try:
        store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except (ConfigError, Unavailable):
        return ()
    try:
        return store.keybook.ring().ours
    finally:
        await store.close()


async def _token(name: str, settings: Settings, ours: tuple[BookKey, ...]) -> DoctorFinding:
    try:
        seen = await look(name, tokens_plan(settings))
    except ConfigError as error:
        fix = f"check that its device answers, and its module and PIN under tokens.{name} in {settings.path}"
        return DoctorFinding(f"token {name}", "wrong", str(error), fix)
    i = seen.info
    detail = f"{i.label!r}, serial {i.serial}, {i.manufacturer} {i.model} {i.firmware}"
    return DoctorFinding(f"token {name}", "ok", detail, inner=tuple(_keys(name, seen, settings, ours)))


def _keys(name: str, seen: Seen, settings: Settings, ours: tuple[BookKey, ...]) -> Iterator[DoctorFinding]:
    """Yield a finding for each key that signs or will sign: by the key book, or by label before the first start."""
    there: dict[str, KeyInfo] = {fingerprint(info.spki): info for info in seen.there}
    for profile, labelled in seen.keys.items():
        mine = [k for k in ours if k.profile == profile and k.token == name]
        needed = schemes(profile, settings.policies.policies)
        if not mine:
            made = f"make it: {init_again(settings.path)}"
            yield _key(profile, labelled, seen, settings.keys[profile].algorithm, made, needed)
        for key in mine:
            if key.state in (KeyState.ACTIVE, KeyState.PREPARED):
                own = key.fingerprint
                missing = f"{own[:12]}, {key.state} in the key book, is not on the token"
                found = there.get(own, missing)
                yield _key(profile, found, seen, key.algorithm, restore_or_lose(own, settings.path), needed)
                if isinstance(found, KeyInfo) and found.token_serial != key.token_serial:
                    yield DoctorFinding(
                        f"place of {profile}",
                        "warning",
                        f"{own[:12]} is on serial {found.token_serial}, recorded is {key.token_serial}",
                        f"if the token was restored or replaced: "
                        f"countersign keys rebind {own[:12]} --on {name} --reason TEXT",
                    )
    if bare := [k for k in ours if _to_back_up(k, name) and k.fingerprint in there]:
        listed = ", ".join(f"{k.short} ({k.profile})" for k in bare)
        noted = (f"countersign keys backup-recorded {k.short} --reason TEXT" for k in bare)
        fix = f"back the token up, then: {'; '.join(noted)}"
        yield DoctorFinding("backups", "warning", f"none is recorded of {listed}", fix)
    if ours:
        for stray in strays(name, tokens_plan(settings), seen.there, {key.fingerprint for key in ours}):
            yield DoctorFinding(
                f"key {stray.label}",
                "warning",
                f"{fingerprint(stray.spki)[:12]} is on the token and not in the key book: it signs nothing",
                "to use it: "
                f"countersign keys import PROFILE --label {shlex.quote(stray.label)} --on {name} --reason TEXT; "
                "a key "
                "that init made is recorded when the server starts; delete it only if it is left from an interrupted "
                "rotation",
            )


def _to_back_up(key: BookKey, token: str) -> bool:
    return key.token == token and key.state in VERIFYING and key.backup_at is None


def _key(
    name: str, found: KeyInfo | str, seen: Seen, wanted: str, where_missing: str, needed: Sequence[Scheme] = ("pkix",)
) -> DoctorFinding:
    title = f"key {name}"
    if isinstance(found, str):
        return DoctorFinding(title, "wrong", found, where_missing)
    if found.algorithm != wanted:
        return DoctorFinding(title, "wrong", f"it is {found.algorithm}, not {wanted}", f"correct keys.{name}")
    try:
        ways = [way_to_sign(algorithm_named(wanted), seen.info.mechanisms, scheme) for scheme in needed]
    except TokenError as error:
        return DoctorFinding(title, "wrong", str(error), f"choose another algorithm for keys.{name}")
    wrong = [n for n, value in _MUST.items() if found.attributes.get(n) is (not value)]
    doubtful = [n for n, value in _SHOULD.items() if found.attributes.get(n) is (not value)]
    untold = [n for n in (*_MUST, *_SHOULD) if found.attributes.get(n) is None]
    detail = f"{wanted}, signs with {' and '.join(dict.fromkeys(way.mechanism for way in ways))}"
    detail += "".join(f", {n}={found.attributes[n]}" for n in (*wrong, *doubtful))
    detail += f" (not told: {', '.join(untold)})" if untold else ""
    fix = "make a key on the token itself that cannot leave it" if wrong or doubtful else ""
    return DoctorFinding(title, "wrong" if wrong else "warning" if doubtful else "ok", detail, fix)


async def check_store(settings: Settings) -> DoctorFinding:
    """Check that the store opens and answers."""
    shown = settings.store.url.partition("://")[0]
    try:
        store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except NoStoreYet as error:
        return DoctorFinding("store", "skipped", str(error).removeprefix("store.url: "))
    except ConfigError as error:
        return DoctorFinding("store", "wrong", str(error), "correct store.url")
    except Unavailable as error:
        return DoctorFinding("store", "wrong", error.what, "is the database running?")
    try:
        await store.probe()
        keys = store.keybook.ring().ours
    except Unavailable as error:
        return DoctorFinding("store", "wrong", error.what, "is the database running?")
    finally:
        await store.close()
    return DoctorFinding("store", "ok", f"{shown} answers; {len(keys)} keys in the key book")


def check_room(url: str) -> DoctorFinding:
    """Check the free space on the store's disk; skipped for a database server, which has its own disk."""
    database = make_url(url).database
    if not url.startswith("sqlite") or not database:
        return DoctorFinding(ROOM, "skipped", "the database server has its own disk: check it there")
    path = Path(database)
    folder = path if path.is_dir() else path.parent
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return DoctorFinding(ROOM, "wrong", f"{folder}: {error.strerror}", f"ls -ld {quoted(folder)}")
    free = disk.f_bavail * disk.f_frsize
    shown = f"{free >> 20} MiB free in {folder}"
    if disk.f_flag & os.ST_RDONLY:
        return DoctorFinding(
            ROOM, "wrong", f"{folder} is mounted read-only: pushes are refused", f"findmnt -T {quoted(folder)}"
        )
    if free < FULL:
        return DoctorFinding(
            ROOM, "wrong", f"{shown}: pushes are refused as soon as it is full", f"df -h {quoted(folder)}"
        )
    return DoctorFinding(
        ROOM, "warning" if free < LITTLE else "ok", shown, f"df -h {quoted(folder)}" if free < LITTLE else ""
    )
