"""Small real images for tests, and how they get to a registry."""

from deploy.layouts import Layout, docker_archive, image, index
from tests.interop.peers import must

__all__ = ["Layout", "docker_archive", "image", "index", "push"]


def push(layout: Layout, reference: str, *, credentials: str | None = None) -> str:
    """The layout is at `reference` (HOST/REPO:TAG), children and all, byte for byte; this is its digest.

    `credentials` is NAME:PASSWORD. Pushed by skopeo.
    """
    login = ["--dest-creds", credentials] if credentials else ["--dest-no-creds"]
    must(
        "skopeo",
        "copy",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        *login,
        layout.source,
        f"docker://{reference}",
    )
    return layout.digest
