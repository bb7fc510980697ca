"""The clients we can tell people how to configure."""

from enum import StrEnum


class Client(StrEnum):
    """Who pulls and pushes."""

    DOCKER = "docker"
    CONTAINERD = "containerd"
    PODMAN = "podman"
    CRIO = "crio"
    KUBERNETES = "kubernetes"
