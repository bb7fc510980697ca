"""Makes the vectors again: what the real notation writes, as JSON files beside this one.

    .venv/bin/python -m tests.vectors.notation.remake

Needs docker-registry, skopeo and the built notation (make clients). Certificates and signatures differ on every run;
what the tests rely on does not. Only certificates are kept, no private keys.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.layouts import image
from tests.interop.images import push
from tests.interop.notary import Notation, leaf, new_ca
from tests.interop.registries import Registry, docker_registry
from tests.vectors.remake import get
from tests.worlds.certificates import rsa_key
from tests.worlds.softkey import MAKERS, PrivateKey

HERE = Path(__file__).parent
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "p256": MAKERS["p256"],
    "p384": MAKERS["p384"],
    "rsa": lambda: rsa_key(2048),
}


def make(envelope: str, kind: str, registry: Registry, folder: Path) -> dict[str, object]:
    """notation has signed an image; this is everything it left in the registry."""
    name = f"{envelope}-{kind}"
    subject = push(image(folder / name, name), f"{registry.host}/{name}:1")
    ca, key, client = new_ca(), KEYS[kind](), Notation(folder / f"{name}-home")
    client.has("vendor", key, ca.chain(leaf(key)))
    flags = ("--user-metadata", "build=7", "--expiry", "87600h")
    signed = client.sign(f"{registry.host}/{name}@{subject}", envelope, *flags)
    assert signed.status == 0, signed.output
    base = f"{registry.url}/v2/{name}"
    index = get(f"{base}/manifests/{subject.replace(':', '-')}").decode()
    [entry] = json.loads(index)["manifests"]
    manifest = get(f"{base}/manifests/{entry['digest']}").decode()
    [layer] = json.loads(manifest)["layers"]
    return {
        "made by": f"notation 1.3.2 sign --signature-format {envelope}",
        "subject": subject,
        "roots": [base64.b64encode(root).decode() for root in ca.roots],
        "manifest": manifest,
        "index": index,
        "layer": base64.b64encode(get(f"{base}/blobs/{layer['digest']}")).decode(),
    }


def main() -> None:
    """Every vector has been made again."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with docker_registry(folder / "registry") as registry:
            for envelope in ("jws", "cose"):
                for kind in KEYS:
                    vector = make(envelope, kind, registry, folder)
                    (HERE / f"{envelope}-{kind}.json").write_text(json.dumps(vector, indent=1) + "\n")


if __name__ == "__main__":
    main()
