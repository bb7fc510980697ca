"""A blocked image starts nowhere, cached or not, also for who may push; and a push over it, or of it again, works.

Everybody may push to these open registries, so every client here is a pusher. What decides is how it looks before it
pulls or pushes: with every kind it can read, or with the one kind it holds (docs/reference/clients.md).
"""

from __future__ import annotations

import pytest

from deploy.layouts import image
from tests.interop.clients import ENGINES, SMALL
from tests.interop.images import push
from tests.interop.shared import Here
from tests.interop.wire import manifest

pytestmark = pytest.mark.go
CLIENTS = [*SMALL, *ENGINES]


def keeps(here: Here, client: str, reference: str) -> int:
    """Pull it so that it stays cached where this client has a cache, and return how that ended."""
    if client == "docker":
        return here.clients.docker("pull", reference).status
    if client == "podman":
        return here.clients.podman("pull", "--tls-verify=false", reference).status
    return here.clients.pull(client, reference).status


def deny(here: Here, digest: str) -> None:
    """From now on that digest is denied everywhere."""
    shown = here.proxy("deny", "add", digest, "--reason", "CVE-2026-1", "--yes")
    assert shown.status == 0, shown.output


def pushed(here: Here, client: str, content: str) -> str:
    """Push that content with this client, which must work; return the digest that lies there then."""
    ended = here.clients.push(client, content, here.name())
    assert ended.status == 0, ended.output
    found = manifest(here.proxy.upstream.host, here.repository, "1", "HEAD")
    return found.headers["docker-content-digest"]


def copied(here: Here) -> str:
    """The image of this test lies unsigned in another repository upstream; return that repository."""
    elsewhere = f"{here.repository}/elsewhere"
    options = ["--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    there = f"docker://{here.proxy.upstream.host}/{elsewhere}:1"
    ended = here.clients.run("skopeo", "copy", *options, f"docker://{here.behind()}", there)
    assert ended.status == 0, ended.output
    return elsewhere


@pytest.mark.parametrize("client", CLIENTS)
def test_a_denied_image_that_is_cached_is_not_confirmed(here: Here, client: str) -> None:
    digest = pushed(here, client, f"recalled {client}")
    assert keeps(here, client, here.name()) == 0
    deny(here, digest)
    assert keeps(here, client, here.name()) != 0
    if client != "docker":  # 20.10 asks no registry about a digest that it has: no registry can recall that
        assert keeps(here, client, here.name(f"@{digest}")) != 0


@pytest.mark.parametrize("client", ENGINES)
def test_an_unsigned_image_whose_digest_is_cached_from_elsewhere_is_not_confirmed(here: Here, client: str) -> None:
    digest = pushed(here, client, f"moved {client}")
    assert keeps(here, client, here.name()) == 0
    elsewhere = copied(here)
    for reference in (":1", f"@{digest}"):
        assert keeps(here, client, here.name(reference, elsewhere)) != 0, reference


@pytest.mark.parametrize("client", CLIENTS)
def test_a_push_over_a_blocked_tag_works(here: Here, client: str) -> None:
    push(image(here.clients.fresh(), "stranger"), here.behind())
    assert keeps(here, client, here.name()) != 0
    pushed(here, client, f"over {client}")
    assert keeps(here, client, here.name()) == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_push_over_a_denied_digest_works(here: Here, client: str) -> None:
    deny(here, pushed(here, client, f"denied {client}"))
    assert keeps(here, client, here.name()) != 0
    pushed(here, client, f"mended {client}")
    assert keeps(here, client, here.name()) == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_pushing_the_very_image_that_is_blocked_signs_it(here: Here, client: str) -> None:
    pushed(here, client, f"again {client}")
    elsewhere = copied(here)
    assert keeps(here, client, here.name(repository=elsewhere)) != 0
    ended = here.clients.push(client, f"again {client}", here.name(repository=elsewhere))
    assert ended.status == 0, ended.output
    assert keeps(here, client, here.name(repository=elsewhere)) == 0
