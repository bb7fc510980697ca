"""The clients for which `client-config` has instructions."""

from enum import StrEnum


class Client(StrEnum):
    """A kind of registry client."""

    DOCKER = "docker"
    CONTAINERD = "containerd"
    PODMAN = "podman"
    CRIO = "crio"
    KUBERNETES = "kubernetes"
