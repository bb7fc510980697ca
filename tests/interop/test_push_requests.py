"""What a signed push asks of real registries, counted in their own logs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.layouts import OCI_INDEX, OCI_MANIFEST, digest_of
from tests.faults.caller import caller, image
from tests.interop.countersign import Proxy, countersign
from tests.interop.registries import Registry

REPOSITORY = "team/app"
CHILDREN = 3
_REQUEST = re.compile(r'(?:^|[" ])(GET|HEAD|POST|PUT|PATCH|DELETE) /v2/', re.MULTILINE)


class Counted:
    """The requests an upstream has had, by method, since it was last asked."""

    def __init__(self, upstream: Registry) -> None:
        self._upstream = upstream
        self._before: Counter[str] = Counter()

    def __call__(self) -> Counter[str]:
        now = Counter(_REQUEST.findall(self._upstream.daemon.printed()))
        new, self._before = now - self._before, now
        return new


@pytest.fixture
def proxy(each_registry: Registry, tmp_path: Path) -> Iterator[Proxy]:
    with countersign(tmp_path / "proxy", each_registry) as running:
        yield running


async def test_a_child_of_an_index_was_read_back_after_each_write(
    proxy: Proxy, each_registry: Registry, request: pytest.FixtureRequest
) -> None:
    """Two payloads, and one read before each write of its `.sig`; upstream's answer says what the tag has now."""
    one_post = "referrers" in request.node.callspec.params.values()  # that registry takes a blob in one request
    counted = Counted(each_registry)
    async with caller(proxy.host) as client:
        await client.furnish(REPOSITORY)
        assert (await client.push(REPOSITORY, "first", image())).status == 201  # what is asked once is not counted
        counted()
        assert (await client.push(REPOSITORY, "alone", image())).status == 201
        alone = counted()
        children = [image() for _ in range(CHILDREN)]
        for child in children:
            assert (await client.push(REPOSITORY, digest_of(child), child)).status == 201
        entries = [{"mediaType": OCI_MANIFEST, "digest": digest_of(c), "size": len(c)} for c in children]
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        pushed = await client.push(REPOSITORY, "all", json.dumps(body).encode(), OCI_INDEX)
        assert pushed.status == 201
        beyond = counted() - alone
        beyond["PUT"] -= CHILDREN  # the client's own
    assert sum(beyond.values()) == CHILDREN * (6 if one_post else 8), beyond
    assert not beyond["HEAD"]
    assert sum(alone.values()) - 1 <= (8 if one_post else 14), alone
