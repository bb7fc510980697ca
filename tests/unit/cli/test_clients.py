from __future__ import annotations

from proxy.cli.client_config import instructions
from proxy.cli.options import Client
from tests.unit.config.test_settings import MINIMAL, parse


def test_every_client_is_told_something_of_its_own_about_itself() -> None:
    told = {client: instructions(client, parse(MINIMAL)) for client in Client}
    assert len(set(told.values())) == len(Client)
    paths = {Client.CONTAINERD: "hosts.toml", Client.PODMAN: "registries.conf", Client.CRIO: "crio"}
    assert all(path in told[client] for client, path in paths.items())
