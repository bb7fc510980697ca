"""Open a token and its keys as configured, and compare them with the key book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm import KeyInfo, PinRefused, Token, TokenError, TokenUnavailable
from hsm.mechanisms import algorithm_named, way_to_sign
from proxy.journal.event import Event, EventKind
from proxy.journal.port import Journal
from proxy.oci.faults import ConfigError, Unavailable
from proxy.registry.ports.keys import KeyBook
from proxy.store.clock import Clock
from proxy.tokens.failing import FailingKeys
from proxy.tokens.plan import ProfilePlan, TokensPlan
from proxy.tokens.setup import strays, token_settings
from proxy.tokens.token_key import UnrecordedKey
from proxy.trust.keys import BookKey, KeyRing, KeyState, fingerprint


class PinRefusedAtStart(Exception):
    """The token refused the PIN, now or earlier; it is not tried again until its source changes."""


@dataclass(frozen=True)
class Opened:
    """A logged-in token, and its usable keys by fingerprint."""

    token: Token
    keys: dict[str, KeyInfo]


@dataclass(frozen=True)
class Record:
    """The key book, and the journal and clock for recording a key that is seen for the first time."""

    keybook: KeyBook
    journal: Journal
    clock: Clock


async def open_token(
    name: str, plan: TokensPlan, record: Record, failing: FailingKeys, allowed: int | None = None
) -> Opened:
    """Return the token, open, with its keys; `allowed` limits the number of its sessions for now.

    Recorded keys that the token does not hold are marked in `failing`: the others sign, and a new one can be made.
    Raises Unavailable if the token cannot be used now, for any reason: the caller tries again. Raises
    PinRefusedAtStart, and ConfigError if there is no PIN.
    """
    wanted = token_settings(plan.tokens[name], plan.sign_queue)
    try:
        token = await Token.open(wanted, allowed=allowed)
    except PinRefused as refused:
        raise PinRefusedAtStart(str(refused)) from None
    except TokenError as away:
        raise Unavailable(str(away)) from None
    try:
        there = await _usable(token)
        for profile in plan.on(name):
            await served(profile, token)
            await _profile(ProfileOnToken(profile, name), there, token, record, failing)
    except ConfigError as wrong:
        await token.close()
        raise Unavailable(str(wrong)) from None
    except BaseException:
        await token.close()
        raise
    return Opened(token, there)


async def served(profile: ProfilePlan, token: Token) -> None:
    """Raise ConfigError unless the token lists the mechanisms that the profile's next key needs. Raises Unavailable."""
    try:
        listed = (await token.describe()).mechanisms
        for scheme in profile.schemes:
            way_to_sign(algorithm_named(profile.algorithm), listed, scheme)
    except TokenUnavailable as away:
        raise Unavailable(str(away)) from None
    except TokenError as wrong:
        name = profile.name
        raise ConfigError(
            f"key {name}: {wrong}; choose another algorithm for keys.{name}, or formats that it can write"
        ) from None


async def may_serve(name: str, before: TokensPlan, after: TokensPlan, token: Token) -> None:
    """Raise ConfigError unless the token supports changed algorithms and formats of its profiles' next keys."""
    for profile in after.on(name):
        old = before.profiles.get(profile.name)
        if old is not None and (old.algorithm, old.schemes) != (profile.algorithm, profile.schemes):
            try:
                await served(profile, token)
            except Unavailable as away:
                raise ConfigError(f"keys.{profile.name}.algorithm: {away.what}") from None


async def _usable(token: Token) -> dict[str, KeyInfo]:
    try:
        return {fingerprint(info.spki): info for info in await token.keys()}
    except TokenError as away:
        raise Unavailable(str(away)) from None


@dataclass(frozen=True)
class ProfileOnToken:
    """A profile on one of its tokens. It has a separate key on each."""

    profile: ProfilePlan
    token: str


async def _profile(
    at: ProfileOnToken, there: Mapping[str, KeyInfo], token: Token, record: Record, failing: FailingKeys
) -> None:
    """Compare the token with the key book; the first key ever seen becomes the profile's active one there."""
    ring, profile = record.keybook.ring(), at.profile.name
    active = ring.active(profile, at.token)
    if active is None:
        if any(key.profile == profile and key.token == at.token for key in ring.ours):
            return
        try:
            await _adopt(at, _fitting(at, await _labelled(at, token)), record)
        except ConfigError as wrong:
            signing = (key for key in ring.ours if key.profile == profile and key.state is KeyState.ACTIVE)
            other = next((key for key in signing if key.token not in at.profile.tokens), None)
            failing.not_made(profile, at.token, str(wrong), "" if other is None else other.fingerprint)
        else:
            failing.made(profile, at.token)
    elif active.fingerprint not in there:
        holds = ", ".join(sorted(f"{i.label!r} ({name[:12]})" for name, i in there.items())) or "no usable key"
        failing.failed(active, f"token {at.token} holds {holds}", missing=True)


async def _labelled(at: ProfileOnToken, token: Token) -> KeyInfo:
    try:
        return await token.key(at.profile.label)
    except TokenUnavailable as away:
        raise Unavailable(str(away)) from None
    except TokenError as wrong:
        raise ConfigError(f"key {at.profile.name}: {wrong}; make it with: countersign init DIR") from None


def _fitting(at: ProfileOnToken, info: KeyInfo) -> KeyInfo:
    if info.algorithm != at.profile.algorithm:
        there = f"key {at.profile.name}: it is {info.algorithm} on token {at.token}"
        raise ConfigError(f"{there}, the configuration says {at.profile.algorithm}")
    return info


async def _adopt(at: ProfileOnToken, info: KeyInfo, record: Record) -> None:
    own, profile = fingerprint(info.spki), at.profile.name
    same = record.keybook.ring().find(own)
    if same is not None and same.token in at.profile.tokens:
        raise ConfigError(
            f"key {profile}: token {at.token} holds {own[:12]}, the same key as token {same.token}; a token that "
            f"stands by needs its own key: give {at.token} another key of that label, or remove it from "
            f"keys.{profile}.tokens"
        )
    key = as_recorded(profile, at.token, info, KeyState.ACTIVE, record.clock)
    detail = {"profile": profile, "key": own, "token": at.token, "token_serial": info.token_serial}
    created = Event(record.clock.now(), EventKind.KEY_CREATED, detail=detail)
    await record.keybook.add(key, record=(created,))


def as_recorded(profile: str, token: str, info: KeyInfo, state: KeyState, clock: Clock) -> BookKey:
    """Return this key in the form of the key book."""
    return BookKey(
        profile=profile,
        token=token,
        token_serial=info.token_serial,
        key_id=info.id,
        label=info.label,
        algorithm=info.algorithm,
        spki=info.spki,
        state=state,
        since=clock.now(),
    )


async def astray(opened: Mapping[str, Opened], plan: TokensPlan, ring: KeyRing) -> list[UnrecordedKey]:
    """Return the keys on these tokens that look like ours but are missing in the key book. Raises Unavailable."""
    known = {key.fingerprint for key in ring.ours}
    found = []
    for name, each in opened.items():
        lost = strays(name, plan, list((await _usable(each.token)).values()), known)
        found += [UnrecordedKey(name, info.label, fingerprint(info.spki)) for info in lost]
    return found
