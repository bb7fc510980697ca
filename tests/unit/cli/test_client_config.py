"""What we tell people to write: nothing in it lets a client go around the proxy."""

import tomllib

import pytest

from proxy.cli.client_config import instructions
from proxy.cli.options import Client
from tests.unit.config.test_settings import MINIMAL, parse

SECURE = parse(MINIMAL)
PLAIN = parse(MINIMAL.replace("https://registry.example.com/", "http://10.0.0.7:5000"))


def settings_in(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("client", Client)
def test_our_name_is_in_it_and_upstream_s_is_not(client: Client) -> None:
    printed = instructions(client, SECURE)
    assert "registry.example.com" in settings_in(printed)
    assert SECURE.upstream.url not in settings_in(printed)
    assert f"Close {SECURE.upstream.url} to clients" in printed


@pytest.mark.parametrize("client", Client)
def test_no_mirror_is_configured(client: Client) -> None:
    assert "mirror" not in settings_in(instructions(client, PLAIN))


def test_containerd_s_server_is_the_proxy() -> None:
    hosts = tomllib.loads(instructions(Client.CONTAINERD, PLAIN))
    assert hosts["server"] == "http://10.0.0.7:5000"
    assert list(hosts["host"]) == ["http://10.0.0.7:5000"]


def test_registries_conf_is_toml_and_only_plain_http_is_insecure() -> None:
    podman = settings_in(instructions(Client.PODMAN, PLAIN)).partition("podman pull")[0]
    assert tomllib.loads(podman)["registry"][0]["insecure"] is True
    crio = tomllib.loads(settings_in(instructions(Client.CRIO, SECURE)))
    assert crio["registry"] == [{"prefix": "registry.example.com", "location": "registry.example.com"}]


def test_docker_needs_no_exception_on_loopback() -> None:
    assert "insecure-registries" in instructions(Client.DOCKER, PLAIN)
    local = parse(MINIMAL.replace("https://registry.example.com/", "http://127.0.0.1:5000"))
    assert "insecure-registries" not in instructions(Client.DOCKER, local)
