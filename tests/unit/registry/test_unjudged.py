from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.journal.event import EventKind
from proxy.oci.faults import Fault
from proxy.oci.limits import Limits
from proxy.oci.manifest import OCI_INDEX, OCI_MANIFEST
from proxy.oci.reference import digest_of
from proxy.trust import explain
from proxy.trust.requirement import Mode
from tests.worlds.conversation import SIGN, World, world
from tests.worlds.denials import denied
from tests.worlds.images import descriptor, dump, image, index
from tests.worlds.orders import denial

X = "application/vnd.x+json"
LIMITS = Limits(manifest_bytes=8000, manifest_hard_bytes=40_000, layers=4, index_children=4)


def kinds() -> dict[str, tuple[bytes, str]]:
    layer = descriptor("application/vnd.oci.image.layer.v1.tar", b"layer")
    config = descriptor("application/vnd.oci.image.config.v1+json", b"{}")
    head = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config}
    return {
        "too many layers": (dump({**head, "layers": [layer] * 5}), OCI_MANIFEST),
        "too many children": (index(*[image(str(n)) for n in range(5)]).body, OCI_INDEX),
        "a negative size": (dump({**head, "layers": [{**layer, "size": -1}]}), OCI_MANIFEST),
        "an annotation of null": (dump({**head, "layers": [layer], "annotations": {"a": None}}), OCI_MANIFEST),
        "an unknown kind": (
            dump({"schemaVersion": 2, "mediaType": "application/vnd.x+json"}),
            "application/vnd.x+json",
        ),
        "no JSON": (b"not json", OCI_MANIFEST),
        "more than is judged": (dump({**head, "layers": [layer], "annotations": {"a": "b" * 9000}}), OCI_MANIFEST),
    }


async def serving(mode: Mode) -> World:
    return await world(replace(SIGN, pull=replace(SIGN.pull, mode=mode)), limits=LIMITS)


@pytest.mark.parametrize("mode", ["warn", "off"])
@pytest.mark.parametrize("what", list(kinds()))
async def test_what_cannot_be_read_is_served_where_the_policy_does_not_block(what: str, mode: Mode) -> None:
    body, kind = kinds()[what]
    w = await serving(mode)
    digest = w.registry.put_manifest("team/app", body, kind, "1")
    for reference in ("1", digest):
        answer = await w.pull("team/app", reference)
        fields = dict(answer.headers)
        assert (answer.status, answer.body, fields["docker-content-digest"]) == (200, body, digest)
        assert ("would be blocked" in (answer.warning or "")) is (mode == "warn")
    row = w.store.journal.events[-1]
    assert row.kind is (EventKind.PULL_WARNED if mode == "warn" else EventKind.PULL_ALLOWED)
    assert row.digest == digest == digest_of(body)
    decision = await w.store.journal.decision(row.decision_id)
    assert decision is not None
    assert (decision.mode, decision.digest, decision.allowed) == (mode, digest, True)
    assert f"mode      {mode}" in explain.text(decision, "countersign", "https://proxy.example")


@pytest.mark.parametrize("what", list(kinds()))
async def test_it_is_blocked_where_the_policy_enforces_and_no_page_shows_what_was_not_computed(what: str) -> None:
    body, kind = kinds()[what]
    w = await serving("enforce")
    w.registry.put_manifest("team/app", body, kind, "1")
    with pytest.raises(Fault) as fault:
        await w.pull("team/app", "1")
    assert fault.value.status == 403
    decision = await w.store.journal.decision(w.store.journal.events[-1].decision_id)
    assert decision is not None
    page = explain.text(decision, "countersign", "https://proxy.example")
    assert digest_of(b"") not in page
    assert "mode  " not in page


async def test_a_denied_digest_is_blocked_in_every_mode_however_unreadable() -> None:
    w = await serving("off")
    body, kind = kinds()["too many layers"]
    digest = w.registry.put_manifest("team/app", body, kind, "1")
    await w.store.overrides.deny(denial(digest))
    await denied(w, lambda: w.pull("team/app", "1"), "denied_digest")


async def test_beyond_the_hard_bound_nothing_is_served() -> None:
    w = await serving("off")
    w.registry.put_manifest("team/app", b" " * 40_001, OCI_MANIFEST, "1")
    await denied(w, lambda: w.pull("team/app", "1"), "too_large")


async def test_bytes_of_another_digest_are_served_in_no_mode() -> None:
    w = await serving("off")
    body, kind = kinds()["a negative size"]
    digest = w.registry.put_manifest("team/app", body, kind, "1")
    w.registry.shelf("team/app").manifests[digest] = (kind, body.replace(b"-1", b"-2"))
    await denied(w, lambda: w.pull("team/app", digest), "not_verifiable")
