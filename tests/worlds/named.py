"""What simple signatures upstream name: whose `.sig` says which tag, and whether that is true."""

from __future__ import annotations

import json

from proxy.oci.reference import subject_of_tag
from tests.worlds.conversation import World

REPOSITORY = "team/app"


def names(w: World, digest: str, repository: str = REPOSITORY) -> list[str]:
    """The tags that the `.sig` of this image names, sorted; the repository's own name is left out."""
    shelf = w.registry.shelf(repository)
    tag = digest.replace(":", "-") + ".sig"
    if tag not in shelf.tags:
        return []
    layers = json.loads(shelf.manifests[shelf.tags[tag]][1])["layers"]
    payloads = [json.loads(shelf.blobs[layer["digest"]]) for layer in layers]
    said = [p["critical"]["identity"]["docker-reference"].rpartition("/")[2] for p in payloads]
    return sorted(name.partition(":")[2] for name in said if ":" in name)


def wrong(w: World, repository: str = REPOSITORY) -> list[str]:
    """Signatures upstream that name a tag which points neither at their image nor at an index above it."""
    shelf = w.registry.shelf(repository)
    found: list[str] = []
    for tag in shelf.tags:
        about = subject_of_tag(tag)  # type: ignore[arg-type]
        if about is not None and tag.endswith(".sig"):
            false = (n for n in names(w, about, repository) if about not in below(w, shelf.tags.get(n), repository))
            found += [f"{about[:15]} is signed for {name}" for name in false]
    return found


def below(w: World, digest: str | None, repository: str = REPOSITORY) -> set[str]:
    """This manifest and everything it lists."""
    shelf = w.registry.shelf(repository)
    if digest is None or digest not in shelf.manifests:
        return set()
    listed = [entry["digest"] for entry in json.loads(shelf.manifests[digest][1]).get("manifests", ())]
    return {digest}.union(*(below(w, each, repository) for each in listed))


def missing(w: World, repository: str = REPOSITORY) -> list[str]:
    """Tags whose image is not signed for them."""
    shelf = w.registry.shelf(repository)
    tags = [(tag, digest) for tag, digest in shelf.tags.items() if subject_of_tag(tag) is None]  # type: ignore[arg-type]
    return [tag for tag, digest in tags if tag not in names(w, digest, repository)]
