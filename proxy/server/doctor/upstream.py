"""The checks of `countersign doctor` on upstream: whether it answers, its capabilities, and our clock against its."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from proxy.config import Settings
from proxy.config.advice import quoted
from proxy.oci.faults import ConfigError, Corrupt, Fault, Told, Unavailable
from proxy.oci.operation import CheckApi, StartUpload
from proxy.oci.paths import parse
from proxy.oci.reference import Repository, digest_of
from proxy.registry.ports.upstream import Credential, Headers, ReferrersApi
from proxy.registry.reading.provable import names_proven
from proxy.server.build import upstream_of
from proxy.server.doctor.checkup import DoctorFinding
from proxy.upstream.client import Upstream

CLOCK_S = 60.0
_PROBE = Repository("countersign-doctor")
_NOTHING = digest_of(b"countersign-doctor")


async def check_upstream(settings: Settings) -> tuple[DoctorFinding, DoctorFinding]:
    """Check the registry and its capabilities, and compare our clock with its clock."""
    url = settings.upstream.url
    try:
        upstream = upstream_of(settings)
    except ConfigError as error:
        return DoctorFinding("upstream", "wrong", str(error), f"correct upstreams in {settings.path}"), _no_clock()
    try:
        reply = await upstream.perform(CheckApi(), Credential())
        headers, status = reply.headers, reply.status
        await reply.close()
        kind = next((v.partition(";")[0] for n, v in headers if n == "content-type"), "")
        page = status == 200 and kind == "text/html"  # a login asked for by a reverse proxy is a page too
        fine = status in {200, 401} and not page
        says = f"{url}/v2/ answers {status}" + (" with a web page" if page else "")
        inner = [f async for f in _capabilities(upstream, status, headers, settings)] if fine else []
    except (Unavailable, Corrupt, Fault) as error:
        return unreachable(settings, str(error)), _no_clock()
    finally:
        await upstream.close()
    if not fine:
        return DoctorFinding("upstream", "wrong", f"{url} is no registry: {says}", _correct(settings)), _clock(headers)
    return DoctorFinding("upstream", "ok", f"{url} answers {status}", inner=tuple(inner)), _clock(headers)


def unreachable(settings: Settings, why: str) -> DoctorFinding:
    """Return the finding on a registry that did not answer."""
    url = settings.upstream.url
    return DoctorFinding(
        "upstream", "wrong", why if url in why else f"{url}: {why}", f"start it; or {_correct(settings)}"
    )


def _correct(settings: Settings) -> str:
    path = quoted(settings.path)
    return (
        f"correct upstreams[0].url in {path}, then: countersign doctor --config {path} "
        f"(curl -i {settings.upstream.url}/v2/ must answer 200 or 401)"
    )


async def _capabilities(
    upstream: Upstream, status: int, headers: Headers, settings: Settings
) -> AsyncIterator[DoctorFinding]:
    scheme = next((v.partition(" ")[0] for n, v in headers if n == "www-authenticate"), "none")
    yield DoctorFinding("login", "ok", "anybody may read" if status == 200 else f"asks for a login ({scheme})")
    if wrong := await upstream.realm.misplaced():
        yield DoctorFinding(
            "token realm", "wrong", wrong, "add its origin to upstreams[0].realms, if it is the right one"
        )
    elif settings.upstream.credentials is not None:
        yield await _account(upstream, settings)
    elif status == 401:
        yield DoctorFinding(
            "our account",
            "warning",
            "none, so verify, why and sign cannot read images",
            "set upstreams[0].credentials to an account that may read and push",
        )
    yield await _referrers(upstream, settings)
    yield await _uploads(upstream, settings)
    yield await _names(upstream, status, settings)


async def _referrers(upstream: Upstream, settings: Settings) -> DoctorFinding:
    """Probe with a digest that does not exist: shows whether the API exists, or that the answer is ambiguous."""
    name, fallback = "referrers API", "the proxy serves it from the fallback tag"
    if settings.upstream.referrers != "auto":
        return DoctorFinding(name, "ok", f"upstreams[0].referrers says: {settings.upstream.referrers}")
    try:
        found = await upstream.referrers_answer(_PROBE, _NOTHING)
    except (Unavailable, Corrupt, Fault) as error:
        return DoctorFinding(name, "skipped", f"could not be probed: {error}")
    if found is ReferrersApi.HAS:
        return DoctorFinding(name, "ok", "there")
    if found is None:
        return DoctorFinding(name, "ok", f"not there: {fallback}")
    return DoctorFinding(
        name,
        "warning",
        f"it answers neither with an index nor with 404: {fallback}, and images without a signature are told apart "
        "from unsigned ones as `not_verifiable`",
        "set upstreams[0].referrers to none, if it has none",
    )


async def _uploads(upstream: Upstream, settings: Settings) -> DoctorFinding:
    """Start an upload with our own account and cancel it: the answer shows where upstream wants the bytes."""
    name, ours = "uploads", Credential(ours=True)
    try:
        started = await upstream.perform(StartUpload(_PROBE), ours)
        await started.close()
        if started.status != 202:
            return DoctorFinding(name, "skipped", f"upstream answers {started.status} to our account about {_PROBE}")
        at = next((value for key, value in started.headers if key == "location"), "")
        path, _, query = at.partition("?")
        cancelled = await upstream.perform(parse("DELETE", path, query), ours)
        await cancelled.close()
    except Unavailable as elsewhere:
        if elsewhere.told is Told.UPLOADS:
            return DoctorFinding(
                name,
                "wrong",
                elsewhere.what,
                f"set one of the two, then: countersign doctor --config {quoted(settings.path)}",
            )
        return DoctorFinding(name, "skipped", f"could not be probed: {elsewhere.what}")
    except (Corrupt, Fault) as wrong:
        return DoctorFinding(name, "wrong", str(wrong), "blobs cannot be pushed through the proxy to this registry")
    return DoctorFinding(name, "ok", "continue where upstream says")


async def _account(upstream: Upstream, settings: Settings) -> DoctorFinding:
    reply = await upstream.perform(CheckApi(), Credential(ours=True))
    await reply.close()
    if reply.status == 200:
        return DoctorFinding("our account", "ok", "is accepted")
    account = settings.upstream.credentials
    name = account.username if account else ""
    return DoctorFinding("our account", "wrong", f"{name} gets {reply.status}", "correct upstreams[0].credentials")


async def _names(upstream: Upstream, status: int, settings: Settings) -> DoctorFinding:
    """Check whether caller names can be proven: only if upstream would refuse the name with another password."""
    provable = status == 401 or await names_proven(upstream)
    listing = [n for n, _ in _listing_names(settings)]
    if provable:
        return DoctorFinding("names of callers", "ok", "can be proven")
    if settings.policies_from == "api":
        return DoctorFinding("names of callers", "ok", "cannot be proven; policy lint says where a policy needs them")
    if listing:
        where = ", ".join(listing)
        detail = f"cannot be proven (any name is admitted), yet {where} lists names: they never match"
        return DoctorFinding(
            "names of callers",
            "warning",
            detail,
            f"configure a login upstream; removing {where} instead lets everybody push there, or pull without a review",
        )
    return DoctorFinding("names of callers", "ok", "cannot be proven; no policy needs them")


def _listing_names(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    for at, policy in enumerate(settings.policies.policies):
        if policy.push.allow != ("*",):
            yield f"policies[{at}].push.allow", policy.push.allow
        if policy.pull.reviewers:
            yield f"policies[{at}].pull.reviewers", policy.pull.reviewers


def _no_clock() -> DoctorFinding:
    return DoctorFinding("clock", "skipped", "no other clock to compare it with")


def _clock(headers: Headers) -> DoctorFinding:
    told = next((value for name, value in headers if name == "date"), None)
    try:
        upstream_time = parsedate_to_datetime(told) if told else None
    except ValueError:
        upstream_time = None
    if upstream_time is None:
        return _no_clock()
    off = (datetime.now(UTC) - upstream_time.astimezone(UTC)).total_seconds()
    if abs(off) <= CLOCK_S:
        return DoctorFinding("clock", "ok", f"{abs(off):.0f} s from upstream's")
    ours = "ahead of" if off > 0 else "behind"
    return DoctorFinding(
        "clock",
        "wrong",
        f"{abs(off):.0f} s {ours} upstream's",
        "synchronise the one that is wrong; here: timedatectl set-ntp true",
    )
