"""Whatever client pushes an image through the proxy, every verifier accepts it, and every client pulls it."""

from __future__ import annotations

import pytest

from deploy.layouts import index
from tests.interop.clients import ENGINES, SMALL
from tests.interop.shared import Here
from tests.interop.wire import manifest

pytestmark = pytest.mark.go


@pytest.mark.parametrize("client", [*SMALL, *ENGINES])
def test_an_image(anywhere: Here, client: str) -> None:
    here = anywhere
    pushed = here.clients.push(client, "hello", here.name())
    assert pushed.status == 0, pushed.output
    found = manifest(here.proxy.upstream.host, here.repository, "1")
    assert found.status == 200
    digest = found.headers["docker-content-digest"]
    here.verifiers.accept(here.repository, "1", digest)
    for reference in (":1", f"@{digest}"):
        pulled = here.clients.pull(client, here.name(reference))
        assert pulled.status == 0, pulled.output


@pytest.mark.parametrize("client", ["skopeo", "regctl", "oras"])
def test_an_index_with_its_children(anywhere: Here, client: str) -> None:
    here = anywhere
    layout = index(here.clients.fresh())
    pushed = here.clients.push_layout(client, layout, here.name())
    assert pushed.status == 0, pushed.output
    here.verifiers.accept(here.repository, "1", layout.digest, layout.children)
    for reference in (":1", f"@{layout.digest}", f"@{layout.children[1]}"):
        pulled = here.clients.pull(client, here.name(reference))
        assert pulled.status == 0, pulled.output


def test_an_index_of_an_index(anywhere: Here) -> None:
    """What `crane push --index` makes: the layout's own list, with the image's index as its one entry."""
    here = anywhere
    layout = index(here.clients.fresh())
    pushed = here.clients.push_layout("crane", layout, here.name())
    assert pushed.status == 0, pushed.output
    top = pushed.stdout.strip().rpartition("@")[2]
    assert top != layout.digest
    here.verifiers.accept(here.repository, "1", top, [layout.digest, *layout.children], runs=False)
    for name in (f"{here.repository}@{layout.digest}", f"{here.repository}@{layout.children[0]}"):
        here.verifiers.accepted("containers/image", name, here.verifiers.containers_image(name))
    for reference in (":1", f"@{top}", f"@{layout.digest}"):
        pulled = here.clients.pull("crane", here.name(reference))
        assert pulled.status == 0, pulled.output
