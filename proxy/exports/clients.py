"""Client configurations, for `countersign client-config` and `/-/trust/clients`. All fail closed.

After our refusal, the client tries no other registry.
Measured: containerd with `server` = the original registry pulls a blocked image from that registry; with `server` = the
proxy the pull is refused. Mirrors in docker and CRI-O fall back the same way, so no mirror is printed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum


class Client(StrEnum):
    """A kind of registry client."""

    DOCKER = "docker"
    CONTAINERD = "containerd"
    PODMAN = "podman"
    CRIO = "crio"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True)
class Proxy:
    """The proxy's address for clients."""

    host: str
    url: str

    @property
    def plain_http(self) -> bool:
        """True without TLS."""
        return self.url.startswith("http://")


def instructions(client: Client, host: str, url: str) -> str:
    """Return the files and commands for this client, with the proxy's own names."""
    lines = {
        Client.DOCKER: _docker,
        Client.CONTAINERD: _containerd,
        Client.PODMAN: _podman,
        Client.CRIO: _crio,
        Client.KUBERNETES: _kubernetes,
    }[client](Proxy(host, url))
    return "\n".join([*lines, ""])


def _docker(proxy: Proxy) -> list[str]:
    local = proxy.host.partition(":")[0] in {"localhost", "127.0.0.1"} or proxy.host.startswith("[::1]")
    insecure = [
        "# /etc/docker/daemon.json (then: systemctl reload docker); better: give the proxy a certificate",
        json.dumps({"insecure-registries": [proxy.host]}, indent=2),
    ]
    return [
        "# docker: use the proxy's name in image references. No registry-mirrors: docker goes around a mirror that",
        "# says no, to the original registry.",
        *(insecure if proxy.plain_http and not local else []),
        f"docker login {proxy.host}          # if the registry asks for a password",
        f"docker pull {proxy.host}/REPOSITORY:TAG",
    ]


def _containerd(proxy: Proxy) -> list[str]:
    return [
        "# containerd: images named after the proxy. `server` is the proxy: with another server containerd would pull",
        "# from there what the proxy refuses.",
        f"# /etc/containerd/certs.d/{proxy.host}/hosts.toml",
        f'server = "{proxy.url}"',
        "",
        f'[host."{proxy.url}"]',
        '  capabilities = ["pull", "resolve", "push"]',
        *(
            []
            if proxy.plain_http
            else ['  # ca = "/etc/ssl/private-ca.pem"    # if a CA of your own signed the certificate']
        ),
        "",
        "# For images named after another registry, the same file under its name, unchanged: `server` stays the proxy.",
        "# /etc/containerd/certs.d/REGISTRY/hosts.toml",
        "# In /etc/containerd/config.toml, for 2.x (version = 3) and for 1.x (version = 2); then restart it:",
        '#   [plugins."io.containerd.cri.v1.images".registry]',
        '#     config_path = "/etc/containerd/certs.d"',
        '#   [plugins."io.containerd.grpc.v1.cri".registry]',
        '#     config_path = "/etc/containerd/certs.d"',
    ]


def _registries(proxy: Proxy) -> list[str]:
    return [
        "# /etc/containers/registries.conf.d/countersign.conf",
        "# `location`, not `mirror`: a mirror that says no is followed by the original.",
        "[[registry]]",
        f'prefix = "{proxy.host}"',
        f'location = "{proxy.host}"',
        *(["insecure = true      # plain HTTP; better: give the proxy a certificate"] if proxy.plain_http else []),
        "",
        "# For images named after another registry:",
        "# [[registry]]",
        '# prefix = "REGISTRY"',
        f'# location = "{proxy.host}"',
        *(["# insecure = true"] if proxy.plain_http else []),
    ]


def _podman(proxy: Proxy) -> list[str]:
    return ["# podman, skopeo, buildah", *_registries(proxy), "", f"podman pull {proxy.host}/REPOSITORY:TAG"]


def _crio(proxy: Proxy) -> list[str]:
    return ["# CRI-O (then: systemctl reload crio)", *_registries(proxy)]


def _kubernetes(proxy: Proxy) -> list[str]:
    return [
        "# Kubernetes: every node's runtime is configured as `countersign client-config containerd` or `crio` says.",
        "# imagePullPolicy: Always asks at every start; a node starts a cached image without asking otherwise.",
        "# Use an account that may only pull: a thief who breaks into a node has it.",
        f"# If the registry asks for a password: docker login {proxy.host}, then",
        "#   kubectl create secret generic countersign --type=kubernetes.io/dockerconfigjson \\",
        "#     --from-file=.dockerconfigjson=$HOME/.docker/config.json",
        "apiVersion: v1",
        "kind: Pod",
        "metadata: {name: example}",
        "spec:",
        "  imagePullSecrets: [{name: countersign}]",
        "  containers:",
        "    - name: app",
        f"      image: {proxy.host}/REPOSITORY:TAG",
        "      imagePullPolicy: Always",
    ]
