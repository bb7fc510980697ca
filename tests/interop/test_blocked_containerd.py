"""containerd's hosts.toml: one form fails closed; the one found everywhere pulls around us after our refusal."""

from __future__ import annotations

import pytest

from deploy.layouts import image
from tests.interop.images import push
from tests.interop.peers import Ran
from tests.interop.shared import Here

pytestmark = pytest.mark.go


def pulled(here: Here, toml: str) -> Ran:
    """What pulling did for a node that knows the image by its original registry's name."""
    push(image(here.clients.fresh(), here.repository), here.behind())
    containerd = here.clients.containerd
    containerd.host(here.proxy.upstream.host, toml)
    return containerd.pull(here.behind())


def printed(here: Here) -> str:
    """The hosts.toml that `countersign client-config containerd` prints."""
    shown = here.proxy("client-config", "containerd")
    assert shown.status == 0, shown.output
    return "".join(f"{line}\n" for line in shown.stdout.splitlines() if line and not line.startswith("#"))


def test_what_client_config_prints_is_refused(here: Here) -> None:
    toml = printed(here)
    assert f'server = "{here.proxy.url}"' in toml
    ended = pulled(here, toml)
    assert ended.status != 0
    assert "blocked by countersign: unsigned" in ended.output
    assert here.clients.containerd("content", "get", here.behind()).status != 0


def test_a_file_that_only_names_the_server_is_no_file_to_containerd_1_6(here: Here) -> None:
    """It says "invalid `host` tree", asks the original registry, and so pulls around us: never print that form."""
    ended = pulled(here, f'server = "{here.proxy.url}"\n')
    if "invalid `host` tree" in ended.output:
        assert ended.status == 0
    else:  # a newer one, which reads it
        assert "blocked by countersign" in ended.output


def test_with_the_original_as_server_it_is_pulled_from_there(here: Here) -> None:
    """Not ours to prevent at the proxy: it is why direct access to upstream must be closed, and what we never print."""
    mirror = f'[host."{here.proxy.url}"]\n  capabilities = ["pull", "resolve"]\n'
    ended = pulled(here, f'server = "{here.proxy.upstream.url}"\n{mirror}')
    assert ended.status == 0, ended.output
    assert here.proxy.events(here.repository, "pull.denied"), "it was asked, said no, and was gone around"


def test_a_signed_image_comes_through_the_form_that_fails_closed(here: Here) -> None:
    assert here.clients.push("skopeo", "hello", here.name()).status == 0
    containerd = here.clients.containerd
    containerd.host(here.proxy.upstream.host, printed(here))
    ended = containerd.pull(here.behind())
    assert ended.status == 0, ended.output
