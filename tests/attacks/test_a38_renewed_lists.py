"""Lists of many megabytes are renewed for ever: what was read of the old ones goes with them."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from proxy.formats.revocation import Crl
from proxy.oci.limits import Limits
from proxy.oci.manifest import Descriptor
from proxy.server.revocation_lists import AGAIN, RevocationLists
from proxy.trust.authority import Authority
from proxy.trust.policy import Policy
from proxy.upstream.outbound import Outbound
from tests.attacks.test_a17_through_the_proxy import ca
from tests.worlds.certificates import chain_of, trio
from tests.worlds.conversation import signed_by, world
from tests.worlds.foreign import put_bundle
from tests.worlds.images import image
from tests.worlds.revocations import crl
from tests.worlds.softkey import soft_key

RENEWED = 40


def kept() -> int:
    """How many lists are in memory that something was read of."""
    gc.collect()
    return sum(isinstance(each, Crl) and "revoked" in vars(each) for each in gc.get_objects())


async def test_of_a_list_that_is_renewed_the_newest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = soft_key()
    leaf, middle, root = trio(key.private)
    key = replace(key, chain=chain_of(leaf, middle, root))
    files = [tmp_path / name for name in ("root.crl", "issuing.crl")]
    trusted = replace(ca(*key.chain[-1:]), crl=tuple(map(str, files)))
    app = image("app")
    w = await world(Policy(("**",), pull=signed_by("vendor")), trusted=(trusted,))
    w.put_behind(app, "team/app", "v1")
    about = Descriptor(app.media_type, app.digest, len(app.body))
    put_bundle(w, "team/app", about, key.layer("notation-jws", app.digest))
    clock = w.store.clock
    lists = RevocationLists(lambda: [trusted], Outbound(), Limits(), clock, structlog.get_logger())
    w.ports = replace(w.ports, lists=lists.known)
    before = kept()
    for _ in range(RENEWED):
        for file, issuer in zip(files, (root, middle), strict=True):
            file.write_bytes(crl(issuer, at=clock.now()))
        await lists.refresh()
        assert (await w.pull("team/app", "v1")).status == 200, "and the decision is remembered, with what it rests on"
        clock.advance(AGAIN.total_seconds())
    assert kept() - before == len(files)


async def test_a_list_that_came_again_is_not_read_again(tmp_path: Path) -> None:
    _, middle, _ = trio()
    file = tmp_path / "ca.crl"
    trusted = [Authority("ca", frozenset(), (), crl=(str(file),))]
    w = await world()
    lists = RevocationLists(lambda: trusted, Outbound(), Limits(), w.store.clock, structlog.get_logger())
    file.write_bytes(crl(middle, at=w.store.clock.now()))
    seen: list[bytes] = []
    for _ in range(3):
        await lists.refresh()
        seen += lists.known(replace(w.ports.keybook.ring(), authorities=tuple(trusted))).authorities[0].lists
        w.store.clock.advance(AGAIN.total_seconds())
    assert all(each is seen[0] for each in seen)
