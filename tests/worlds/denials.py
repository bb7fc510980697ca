"""What "denied" means, said once: a registry-shaped error, one row with the reason, no upstream write, nothing kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from proxy.journal.event import Event, EventKind
from proxy.oci import operation as o
from proxy.oci.faults import STATUS, Fault
from tests.worlds.conversation import World

WRITES = (o.PushManifest, o.StartUpload, o.UploadChunk, o.FinishUpload, o.DeleteManifest, o.DeleteBlob)
DENIALS = frozenset({EventKind.PULL_DENIED, EventKind.BLOB_DENIED, EventKind.PUSH_DENIED, EventKind.PUSH_NOT_SIGNED})


def denials(w: World) -> list[Event]:
    """Every denial in the journal, one per time it happened."""
    rows = [e for e in w.store.journal.events if e.kind in DENIALS]
    return [e for e in rows for _ in range(int(e.detail.get("count", 1)))]


async def denied(w: World, attempt: Callable[[], Awaitable[object]], *reasons: str, times: int = 2) -> Fault:
    """Try this (twice: what is remembered of the first must not let the second in) and return the last refusal."""
    last: Fault | None = None
    for _ in range(times):
        rows, writes = len(denials(w)), w.registry.count(*WRITES)
        try:
            await attempt()
        except Fault as fault:
            last = fault
        else:
            raise AssertionError("it was not denied")
        assert last.code in STATUS
        assert 400 <= last.status < 500
        assert last.message.isprintable()
        assert last.message.isascii()
        assert len(last.message) <= 300
        assert last.reason in reasons, (last.reason, last.message)
        assert w.registry.count(*WRITES) == writes
        assert len(denials(w)) == rows + 1
        assert denials(w)[-1].reason == last.reason or any(e.reason == last.reason for e in denials(w))
    assert last is not None
    return last
