"""Attack 18: every step of the verifier made to raise, return nothing, hang or be cancelled. It ends in denial.

A mutation test: the image is unsigned, so whatever goes wrong, nothing may come out.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from proxy.formats import algorithms, bundle, simple_signing
from proxy.oci.faults import Corrupt, Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.registry import pull
from proxy.registry.judging import gather, judge, now, overtaken
from proxy.registry.reading import artifact, resolve
from proxy.registry.request import Response
from proxy.trust import decision, requirement, signatures
from proxy.trust.policy import Clause, Policy, PullRules
from tests.worlds.conversation import World, world
from tests.worlds.foreign import put_bundle, put_sig, trusted
from tests.worlds.images import image, index
from tests.worlds.registry import MemoryRegistry
from tests.worlds.softkey import soft_key

APP = image("app")
PARENT = index(APP)
KNOWN, STRANGER = soft_key(name="partner"), soft_key(name="stranger")
STEPS: list[tuple[object, str]] = [
    (judge, "resolve"),
    (judge, "is_signature_artifact"),
    (judge, "gather"),
    (judge, "_judged"),
    (judge, "by_now"),
    (overtaken, "now_in"),
    (judge, "_evidence"),
    (judge, "_outcome"),
    (judge, "now_in"),
    (now, "decide"),
    (now, "require_known"),
    (judge, "_remembered"),
    (judge, "_lists_referrers"),
    (artifact, "_parses"),
    (artifact, "is_artifact_shape"),
    (artifact, "config_parses"),
    (artifact, "is_tar"),
    (gather, "_ledger"),
    (gather, "_referrers"),
    (gather, "_layers"),
    (gather, "_open"),
    (gather, "_examine"),
    (gather, "read_blob"),
    (gather, "read_manifest"),
    (gather, "referrers_of"),
    (gather, "claimed_by"),
    (resolve, "parse"),
    (resolve, "digest_of"),
    (resolve, "learn"),
    (pull, "permit"),
    (pull, "judge"),
    (pull, "_holds"),
    (pull, "_record"),
    (pull, "_permission"),
    (simple_signing, "signer_of"),
    (simple_signing, "parse"),
    (simple_signing, "from_base64"),
    (bundle, "signer_of"),
    (bundle, "parse"),
    (algorithms, "_key"),
    (judge, "_outcomes"),
    (now, "outcome_of"),
    (now, "put_together"),
    (now, "requirements"),
    (signatures, "_checks"),
    (signatures, "_clause"),
    (signatures, "_problem"),
    (signatures, "_bound"),
    (requirement, "worst"),
    (requirement, "first_reason"),
    (decision, "worst"),
    (decision, "first_reason"),
    (decision, "_strongest"),
]
PORTS = [
    ("registry", "perform"),
    ("registry", "referrers_api"),
    ("facts", "manifest"),
    ("facts", "parents"),
    ("facts", "ancestors"),
    ("facts", "learn"),
    ("ledger", "entries"),
    ("journal", "decided"),
    ("rights", "caller"),
    ("rights", "may_push"),
    ("rules", "current"),
    ("keybook", "ring"),
    ("clock", "now"),
]
RAISES: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("broken"),
    "KeyError": lambda: KeyError("broken"),
    "RecursionError": lambda: RecursionError("broken"),
    "MemoryError": lambda: MemoryError("broken"),
    "TimeoutError": lambda: TimeoutError("broken"),
    "OSError": lambda: OSError("broken"),
    "Unavailable": lambda: Unavailable("broken"),
    "Corrupt": lambda: Corrupt("broken"),
    "Fault": lambda: Fault("MANIFEST_INVALID", "broken"),
    "CancelledError": lambda: asyncio.CancelledError("broken"),
    "StopAsyncIteration": lambda: StopAsyncIteration("broken"),
}


async def scene(deadline: float = 5.0) -> World:
    """An image with a stranger's signature in every place, below an index that nobody signed."""
    policy = Policy(("**",), pull=PullRules(require=(Clause(("partner",)),)))
    limits = Limits(tag_age_s=0, gather_deadline_s=deadline)
    w = await world(policy, trusted=(trusted(KNOWN),), registry=MemoryRegistry(), limits=limits)
    w.put_behind(PARENT, "team/app", "both")
    w.put_behind(APP, "team/app", "v1")
    put_sig(w.registry, "team/app", APP.digest, STRANGER.layer("cosign-simple", APP.digest))
    about = Descriptor(APP.media_type, APP.digest, len(APP.body))
    put_bundle(w, "team/app", about, STRANGER.layer("sigstore-bundle", APP.digest))
    await w.blocked("team/app", "both")
    w.store.clock.advance(120)
    w.ports.cache.bodies.clear()
    return w


async def nothing_comes_out(w: World) -> None:
    for reference in ("v1", APP.digest):
        answer: Response | None = None
        with suppress(Exception, asyncio.CancelledError):  # the outermost middleware answers 500 without a body
            async with asyncio.timeout(3):
                answer = await w.pull("team/app", reference)
        assert answer is None or (answer.status >= 400 and APP.body not in answer.body), "it was served"


def broken(original: Any, failure: Callable[[], BaseException]) -> Any:
    if inspect.iscoroutinefunction(original):

        async def raises(*_: object, **__: object) -> None:
            raise failure()

        return raises

    def raises_now(*_: object, **__: object) -> None:
        raise failure()

    return raises_now


def empty(original: Any) -> Any:
    if inspect.iscoroutinefunction(original):

        async def nothing(*_: object, **__: object) -> None:
            return None

        return nothing
    return lambda *_, **__: None


@pytest.mark.parametrize("failure", RAISES)
@pytest.mark.parametrize(("module", "name"), STEPS, ids=lambda v: getattr(v, "__name__", v))
async def test_a_step_that_raises(module: object, name: str, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    monkeypatch.setattr(module, name, broken(getattr(module, name), RAISES[failure]))
    await nothing_comes_out(w)
    monkeypatch.undo()
    w.store.clock.advance(120)
    assert await w.blocked("team/app", "v1") == "untrusted_key"


@pytest.mark.parametrize(("module", "name"), STEPS, ids=lambda v: getattr(v, "__name__", v))
async def test_a_step_that_returns_nothing(module: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    monkeypatch.setattr(module, name, empty(getattr(module, name)))
    await nothing_comes_out(w)


@pytest.mark.parametrize("failure", RAISES)
@pytest.mark.parametrize(("port", "name"), PORTS)
async def test_a_port_that_raises(port: str, name: str, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    there = getattr(w.ports, port)
    monkeypatch.setattr(there, name, broken(getattr(there, name), RAISES[failure]))
    await nothing_comes_out(w)


@pytest.mark.parametrize(("port", "name"), PORTS)
async def test_a_port_that_returns_nothing(port: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    there = getattr(w.ports, port)
    monkeypatch.setattr(there, name, empty(getattr(there, name)))
    await nothing_comes_out(w)


@pytest.mark.parametrize("name", ["gather", "is_signature_artifact", "resolve"])
async def test_a_step_that_never_ends_and_a_caller_who_leaves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    ended = asyncio.Event()

    async def forever(*_: object, **__: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(judge, name, forever)
    caller = asyncio.create_task(w.pull("team/app", "v1"))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    monkeypatch.undo()
    w.store.clock.advance(120)
    assert await w.blocked("team/app", "v1") == "untrusted_key"
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@pytest.mark.parametrize("place", ["_ledger", "read_manifest", "_referrers"])
async def test_a_place_that_hangs_is_silence_after_its_deadline(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene(deadline=0.05)

    async def forever(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(gather, place, forever)
    assert await w.blocked("team/app", "v1") == "not_verifiable"


async def test_the_journal_being_down_lets_nothing_out_not_even_a_good_image(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await scene()
    put_sig(w.registry, "team/app", APP.digest, KNOWN.layer("cosign-simple", APP.digest))
    assert (await w.pull("team/app", "v1")).status == 200
    monkeypatch.setattr(w.store.journal, "decided", broken(w.store.journal.decided, RAISES["Unavailable"]))
    with pytest.raises(Fault) as refused:
        await w.pull("team/app", "v1")
    assert (refused.value.status, refused.value.reason) == (403, "not_verifiable")
    assert refused.value.headers["Retry-After"]
