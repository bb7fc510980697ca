"""What is in the repositories of both sides before anything is asked: the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deploy.layouts import OCI_CONFIG, OCI_LAYER
from tests.interop.countersign import Proxy
from tests.interop.differential.sides import Side
from tests.interop.handmade import Described, Handmade
from tests.interop.wire import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def policies(settings: dict[str, Any]) -> None:
    """Beside what `init` wrote: repositories that are neither signed nor judged."""
    settings["policies"] += [{"repositories": ["plain/**"], "push": {"sign_with": []}, "pull": {"mode": "off"}}]


def fill(host: str, repository: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Described]:
    """Images of both kinds, an index, a docker list, and a layer that nothing lists, are in that repository."""
    by_hand = Handmade(host, repository, headers)
    config = by_hand.blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}', OCI_CONFIG)
    layer = by_hand.blob(b"the bytes of a layer", OCI_LAYER)
    image = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
    found = {"config": config, "layer": layer, "image": by_hand.manifest(image, OCI_MANIFEST, "1")}
    for tag in ("2", "3"):
        by_hand.manifest({**image, "annotations": {"tag": tag}}, OCI_MANIFEST, tag)
    platform = {"platform": {"architecture": "amd64", "os": "linux"}}
    by_hand.index([{**found["image"], **platform}], "multi")
    of_docker = {**image, "mediaType": DOCKER_MANIFEST}
    of_docker["config"] = {**config, "mediaType": DOCKER_CONFIG}
    of_docker["layers"] = [{**layer, "mediaType": DOCKER_LAYER}]
    found["docker"] = by_hand.manifest(of_docker, DOCKER_MANIFEST, "docker")
    child = by_hand.manifest({**of_docker, "annotations": {"a": "child"}}, DOCKER_MANIFEST)
    a_list = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [{**child, **platform}]}
    by_hand.manifest(a_list, DOCKER_LIST, "list")
    found["spare"] = by_hand.blob(f"nothing lists this but {repository:>40}".encode(), OCI_LAYER)
    return found


def reading(proxy: Proxy, headers: Mapping[str, str] | None = None) -> tuple[Side, Side]:
    """Both sides of one repository whose images are signed, and must be; pushed with these headers."""
    name = "signed/reads"
    found = fill(proxy.host, name, headers)
    return Side(proxy.upstream.host, name, "no/such", found), Side(proxy.host, name, "no/such", found)


def writing(proxy: Proxy, name: str) -> tuple[Side, Side]:
    """Two repositories with the same in them, one for each side, where nothing is signed or judged."""
    sides = []
    for which, host in (("direct", proxy.upstream.host), ("behind", proxy.host)):
        repository, other = f"plain/{which}/{name}", f"plain/{which}/other-{name}"
        found = dict(fill(proxy.upstream.host, repository))
        found["mountable"] = Handmade(proxy.upstream.host, other).blob(b"to be mounted", OCI_LAYER)
        sides.append(Side(host, repository, other, json.loads(json.dumps(found))))
    return sides[0], sides[1]
