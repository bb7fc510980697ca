"""What we tell people to write: nothing in it lets a client go around the proxy."""

import tomllib

import pytest

from proxy.exports import clients
from proxy.exports.clients import Client

SECURE, PLAIN = "https://registry.example.com", "http://10.0.0.7:5000"


def instructions(client: Client, url: str) -> str:
    return clients.instructions(client, url.partition("://")[2], url)


def settings_in(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("client", Client)
def test_our_name_is_in_it(client: Client) -> None:
    assert "registry.example.com" in settings_in(instructions(client, SECURE))


def test_every_client_is_told_something_of_its_own_about_itself() -> None:
    told = {client: instructions(client, SECURE) for client in Client}
    assert len(set(told.values())) == len(Client)
    paths = {Client.CONTAINERD: "hosts.toml", Client.PODMAN: "registries.conf", Client.CRIO: "crio"}
    assert all(path in told[client] for client, path in paths.items())


def test_containerd_1_and_2_read_the_folder_from_the_section_that_they_know() -> None:
    """Before: only the section of 1.x was printed, which 2.x does not read, and nothing about a CA of one's own."""
    printed = instructions(Client.CONTAINERD, SECURE)
    written = "\n".join(line.removeprefix("# ") for line in printed.splitlines() if line.startswith("#   "))
    plugins = tomllib.loads(written)["plugins"]
    assert plugins == {
        plugin: {"registry": {"config_path": "/etc/containerd/certs.d"}}
        for plugin in ("io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri")
    }
    with_ca = tomllib.loads(printed.replace("# ca =", "ca ="))
    assert with_ca["host"][SECURE]["ca"].endswith(".pem")
    assert "ca =" not in instructions(Client.CONTAINERD, PLAIN)


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
    assert "insecure-registries" not in instructions(Client.DOCKER, "http://127.0.0.1:5000")
