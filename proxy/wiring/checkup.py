"""What `countersign doctor` looks at: every part the proxy needs, each by itself, nothing changed anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from hsm import KeyInfo, TokenError
from hsm.mechanisms import algorithm_named, way_to_sign
from proxy.config import Settings
from proxy.flows.provable import names_proven
from proxy.formats.format import Scheme
from proxy.oci.faults import ConfigError, Corrupt, Fault, Unavailable
from proxy.oci.operation import CheckApi
from proxy.oci.reference import Repository, digest_of
from proxy.ports import Credential, Headers, ReferrersApi
from proxy.setup_token import Seen, look, strays
from proxy.store import open_store
from proxy.trust.keys import VERIFYING, BookKey, KeyState, fingerprint
from proxy.upstream.client import Upstream
from proxy.wiring.clock import SystemClock
from proxy.wiring.notary import schemes, waiting
from proxy.wiring.upstream import upstream_of

State = Literal["ok", "warning", "wrong", "skipped"]
CLOCK_S = 60.0
_PROBE = Repository("countersign-doctor")
_NOTHING = digest_of(b"countersign-doctor")
# What a private key's attributes must be (PKCS#11 2.40, 4.9); those a token does not tell are said so.
_MUST = {"SENSITIVE": True, "EXTRACTABLE": False}
_SHOULD = {"ALWAYS_SENSITIVE": True, "NEVER_EXTRACTABLE": True, "LOCAL": True, "DERIVE": False}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do where it is not well."""

    name: str
    state: State
    detail: str
    fix: str = ""
    inner: tuple[Finding, ...] = ()

    @property
    def worst(self) -> State:
        """The state of this and of everything within it."""
        order: tuple[State, ...] = ("wrong", "warning", "skipped", "ok")
        return min([self.state, *(f.worst for f in self.inner)], key=order.index)


async def check_tokens(settings: Settings) -> Finding:
    """Look at every token, its mechanisms and the attributes of its keys."""
    if not settings.tokens:
        return Finding("tokens", "warning", "none is configured, so nothing is signed", "add one under tokens:")
    ours = await _recorded(settings)
    found = [await _token(name, settings, ours) for name in settings.tokens]
    fix = "countersign keys csr KEY, and when it is issued: countersign keys chain set KEY FILE"
    found += [
        Finding(f"certificates of {each.profile}", "wrong" if each.alone else "warning", each.says, fix)
        for each in waiting(settings.policies.policies, ours)
    ]
    return Finding("tokens", "ok", f"{len(found)} configured", inner=tuple(found))


async def _recorded(settings: Settings) -> tuple[BookKey, ...]:
    """Return the key book; nothing where there is no store yet, or none that answers (which is said elsewhere)."""
    try:
        store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except (ConfigError, Unavailable):
        return ()
    try:
        return store.keybook.ring().ours
    finally:
        await store.close()


async def _token(name: str, settings: Settings, ours: tuple[BookKey, ...]) -> Finding:
    try:
        seen = await look(name, settings)
    except ConfigError as error:
        return Finding(f"token {name}", "wrong", str(error), f"correct tokens.{name} in {settings.path}")
    i = seen.info
    detail = f"{i.label!r}, serial {i.serial}, {i.manufacturer} {i.model} {i.firmware}"
    return Finding(f"token {name}", "ok", detail, inner=tuple(_keys(name, seen, settings, ours)))


def _keys(name: str, seen: Seen, settings: Settings, ours: tuple[BookKey, ...]) -> Iterator[Finding]:
    """Yield each profile's keys that sign or will: as the key book has them, before the first start by label."""
    there: dict[str, KeyInfo] = {fingerprint(info.spki): info for info in seen.there}
    for profile, labelled in seen.keys.items():
        mine = [k for k in ours if k.profile == profile and k.token == name]
        needed = schemes(profile, settings.policies.policies)
        if not mine:
            made = f"make it: countersign init {settings.directory} --upstream URL"
            yield _key(profile, labelled, seen, settings.keys[profile].algorithm, made, needed)
        for key in mine:
            if key.state in (KeyState.ACTIVE, KeyState.PREPARED):
                own = fingerprint(key.spki)
                missing = f"{own[:12]}, {key.state} in the key book, is not on the token"
                found = there.get(own, missing)
                yield _key(profile, found, seen, key.algorithm, "restore the token that holds it", needed)
                if isinstance(found, KeyInfo) and found.token_serial != key.token_serial:
                    yield Finding(
                        f"place of {profile}",
                        "warning",
                        f"{own[:12]} is on serial {found.token_serial}, recorded is {key.token_serial}",
                        f"if the token was restored or replaced: countersign keys rebind {own[:12]}",
                    )
    if bare := [k for k in ours if k.token == name and k.state in VERIFYING and k.backup_at is None]:
        listed = ", ".join(f"{fingerprint(k.spki)[:12]} ({k.profile})" for k in bare)
        fix = "back the token up, then: countersign keys backup-recorded KEY"
        yield Finding("backups", "warning", f"none is recorded of {listed}", fix)
    if ours:
        for stray in strays(name, settings, seen.there, {fingerprint(key.spki) for key in ours}):
            yield Finding(
                f"key {stray.label}",
                "warning",
                f"{fingerprint(stray.spki)[:12]} is on the token and not in the key book: it signs nothing",
                f"to use it: countersign keys import PROFILE --label {stray.label} --on {name} --reason TEXT; a key "
                "that init made is recorded when the server starts; delete it only if it is left from an interrupted "
                "rotation",
            )


def _key(
    name: str, found: KeyInfo | str, seen: Seen, wanted: str, where_missing: str, needed: Sequence[Scheme] = ("pkix",)
) -> Finding:
    title = f"key {name}"
    if isinstance(found, str):
        return Finding(title, "wrong", found, where_missing)
    if found.algorithm != wanted:
        return Finding(title, "wrong", f"it is {found.algorithm}, not {wanted}", f"correct keys.{name}")
    try:
        ways = [way_to_sign(algorithm_named(wanted), seen.info.mechanisms, scheme) for scheme in needed]
    except TokenError as error:
        return Finding(title, "wrong", str(error), f"choose another algorithm for keys.{name}")
    wrong = [n for n, value in _MUST.items() if found.attributes.get(n) is (not value)]
    doubtful = [n for n, value in _SHOULD.items() if found.attributes.get(n) is (not value)]
    untold = [n for n in (*_MUST, *_SHOULD) if found.attributes.get(n) is None]
    detail = f"{wanted}, signs with {' and '.join(dict.fromkeys(way.mechanism for way in ways))}"
    detail += "".join(f", {n}={found.attributes[n]}" for n in (*wrong, *doubtful))
    detail += f" (not told: {', '.join(untold)})" if untold else ""
    fix = "make a key on the token itself that cannot leave it" if wrong or doubtful else ""
    return Finding(title, "wrong" if wrong else "warning" if doubtful else "ok", detail, fix)


async def check_upstream(settings: Settings) -> tuple[Finding, Finding]:
    """Look at the registry and what it can do, and at our clock beside its."""
    url = settings.upstream.url
    try:
        upstream = upstream_of(settings)
    except ConfigError as error:
        return Finding("upstream", "wrong", str(error), f"correct upstreams in {settings.path}"), _no_clock()
    try:
        reply = await upstream.perform(CheckApi(), Credential())
        headers, status = reply.headers, reply.status
        await reply.close()
        fine = status in {200, 401}
        inner = [f async for f in _capabilities(upstream, status, headers, settings)] if fine else []
    except (Unavailable, Corrupt, Fault) as error:
        return Finding("upstream", "wrong", f"{url}: {error}", f"is it running? curl -i {url}/v2/"), _no_clock()
    finally:
        await upstream.close()
    fix = "" if fine else f"curl -i {url}/v2/ must answer 200 or 401"
    state: State = "ok" if fine else "wrong"
    return Finding("upstream", state, f"{url} answers {status}", fix, tuple(inner)), _clock(headers)


async def _capabilities(
    upstream: Upstream, status: int, headers: Headers, settings: Settings
) -> AsyncIterator[Finding]:
    scheme = next((v.partition(" ")[0] for n, v in headers if n == "www-authenticate"), "none")
    yield Finding("login", "ok", "anybody may read" if status == 200 else f"asks for a login ({scheme})")
    if wrong := await upstream.realm.misplaced():
        yield Finding("token realm", "wrong", wrong, "add its origin to upstreams[0].realms, if it is the right one")
    elif settings.upstream.credentials is not None:
        yield await _account(upstream, settings)
    elif status == 401:
        yield Finding(
            "our account",
            "warning",
            "none, so verify, why and sign see nothing",
            "set upstreams[0].credentials to an account that may read and push",
        )
    yield await _referrers(upstream, settings)
    yield await _names(upstream, status, settings)


async def _referrers(upstream: Upstream, settings: Settings) -> Finding:
    """Ask about nothing: that shows the API where it is there, and an answer that means neither yes nor no."""
    name, fallback = "referrers API", "the proxy serves it from the fallback tag"
    if settings.upstream.referrers != "auto":
        return Finding(name, "ok", f"upstreams[0].referrers says: {settings.upstream.referrers}")
    try:
        found = await upstream.referrers_answer(_PROBE, _NOTHING)
    except (Unavailable, Corrupt, Fault) as error:
        return Finding(name, "skipped", f"could not be probed: {error}")
    if found is ReferrersApi.HAS:
        return Finding(name, "ok", "there")
    if found is None:
        return Finding(name, "ok", f"not there: {fallback}")
    return Finding(
        name,
        "warning",
        f"it answers neither with an index nor with 404: {fallback}, and images without a signature are told apart "
        "from unsigned ones as `not_verifiable`",
        "set upstreams[0].referrers to none, if it has none",
    )


async def _account(upstream: Upstream, settings: Settings) -> Finding:
    reply = await upstream.perform(CheckApi(), Credential(ours=True))
    await reply.close()
    if reply.status == 200:
        return Finding("our account", "ok", "is let in")
    account = settings.upstream.credentials
    name = account.username if account else ""
    return Finding("our account", "wrong", f"{name} gets {reply.status}", "correct upstreams[0].credentials")


async def _names(upstream: Upstream, status: int, settings: Settings) -> Finding:
    """A name counts only where upstream would refuse it with another password."""
    provable = status == 401 or await names_proven(upstream)
    listing = [n for n, _ in _listing_names(settings)]
    if provable:
        return Finding("names of callers", "ok", "can be proven")
    if settings.policies_from == "api":
        return Finding("names of callers", "ok", "cannot be proven; policy lint says where a policy needs them")
    if listing:
        where = ", ".join(listing)
        detail = f"cannot be proven (any name is let in), yet {where} lists names: nobody is ever one of them"
        return Finding("names of callers", "warning", detail, f"give upstream a login, or remove {where}")
    return Finding("names of callers", "ok", "cannot be proven; no policy needs them")


def _listing_names(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    for at, policy in enumerate(settings.policies.policies):
        if policy.push.allow != ("*",):
            yield f"policies[{at}].push.allow", policy.push.allow
        if policy.pull.reviewers:
            yield f"policies[{at}].pull.reviewers", policy.pull.reviewers


def _no_clock() -> Finding:
    return Finding("clock", "skipped", "there was nobody to compare it with")


def _clock(headers: Headers) -> Finding:
    told = next((value for name, value in headers if name == "date"), None)
    try:
        theirs = parsedate_to_datetime(told) if told else None
    except ValueError:
        theirs = None
    if theirs is None:
        return _no_clock()
    off = (datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds()
    if abs(off) <= CLOCK_S:
        return Finding("clock", "ok", f"{abs(off):.0f} s from upstream's")
    ours = "ahead of" if off > 0 else "behind"
    return Finding("clock", "wrong", f"{abs(off):.0f} s {ours} upstream's", "synchronise it: timedatectl set-ntp true")


async def check_store(settings: Settings) -> Finding:
    """Look whether the store opens and answers."""
    shown = settings.store.url.partition("://")[0]
    try:
        store = await open_store(settings.store.url, SystemClock(), trusted=settings.trust, read_only=True)
    except ConfigError as error:
        if "there is no" in str(error):
            return Finding("store", "skipped", str(error).removeprefix("store.url: "))
        return Finding("store", "wrong", str(error), "correct store.url")
    except Unavailable as error:
        return Finding("store", "wrong", error.what, "is the database running?")
    try:
        await store.probe()
        keys = store.keybook.ring().ours
    except Unavailable as error:
        return Finding("store", "wrong", error.what, "is the database running?")
    finally:
        await store.close()
    return Finding("store", "ok", f"{shown} answers; {len(keys)} keys in the key book")
