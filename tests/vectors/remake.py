"""Makes the vectors again: what the real cosigns write, as JSON files beside this one.

    .venv/bin/python -m tests.vectors.remake [NAME ...]

Needs docker-registry, skopeo and the built clients (make clients). Keys and signatures differ on every run; what the
tests rely on does not. Only public keys are kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key
from cryptography.hazmat.primitives.serialization import PublicFormat as Public

from tests.interop.images import image, push
from tests.interop.peers import must
from tests.interop.registries import Registry, docker_registry

HERE = Path(__file__).parent
ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
ACCEPT += ", application/vnd.docker.distribution.manifest.v2+json"
V3 = ("--use-signing-config=false", "--tlog-upload=false")
V2 = ("--tlog-upload=false",)
OLD = "--new-bundle-format=false"
NAMED = "--sign-container-identity=registry.example/team/app:1"


@dataclass(frozen=True)
class Case:
    """One run (or several) of a client, and where its result lies: `sig` tag or a referrer."""

    client: str
    keys: Sequence[str]
    flags: Sequence[str]
    where: str = "sig"
    verb: str = "sign"
    environment: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "cosign3-bundle": Case("cosign", ["p256"], V3, "referrer"),
    "cosign3-bundle-p384": Case("cosign", ["p384"], V3, "referrer"),
    "cosign3-bundle-rsa": Case("cosign", ["rsa"], V3, "referrer"),
    "cosign3-bundle-annotated": Case("cosign", ["p256"], [*V3, "-a", "pusher=alice"], "referrer"),
    "cosign3-attestation": Case("cosign", ["p256"], [*V3, "--type=vuln"], "referrer", "attest"),
    "cosign3-simple": Case("cosign", ["p256"], [*V3, OLD]),
    "cosign2-simple": Case("cosign2", ["p256"], V2),
    "cosign2-simple-p384": Case("cosign2", ["p384"], V2),
    "cosign2-simple-rsa": Case("cosign2", ["rsa"], V2),
    "cosign2-simple-annotated": Case("cosign2", ["p256"], [*V2, NAMED, "-a", "pusher=alice", "-a", "time=now"]),
    "cosign2-simple-twice": Case("cosign2", ["p256", "other"], V2),
    "cosign2-simple-referrer": Case(
        "cosign2",
        ["p256"],
        [*V2, "--registry-referrers-mode=oci-1-1"],
        "referrer",
        environment={"COSIGN_EXPERIMENTAL": "1"},
    ),
    "cosign2-simple-docker": Case("cosign2", ["p256"], V2, environment={"COSIGN_DOCKER_MEDIA_TYPES": "1"}),
}
VULNERABILITIES = {
    "invocation": {"uri": "", "event_id": "", "builder.id": ""},
    "scanner": {"uri": "pkg:generic/scanner", "version": "1", "db": {"uri": "", "version": ""}, "result": {}},
    "metadata": {"scanStartedOn": "2026-01-02T12:00:00Z", "scanFinishedOn": "2026-01-02T12:00:01Z"},
}


def private_keys(folder: Path) -> None:
    """A key of every kind lies in the folder, as cosign keeps them (NAME.key, NAME.pub; the password is empty)."""
    made: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "other": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "rsa": rsa.generate_private_key(65537, 2048),
    }
    for name, key in made.items():
        pem = folder / f"{name}.pem"
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        must("cosign", "import-key-pair", "--key", pem, "--output-key-prefix", folder / name, environment=own(folder))


def own(folder: Path) -> dict[str, str]:
    """The environment of a cosign that knows nothing of this user."""
    return {"COSIGN_PASSWORD": "", "HOME": str(folder), "DOCKER_CONFIG": str(folder)}


def get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310 - http on loopback
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - http on loopback
        content: bytes = reply.read()
        return content


def make(name: str, case: Case, registry: Registry, folder: Path) -> dict[str, object]:
    """The case has been played; this is everything it left in the registry."""
    subject = push(image(folder / name, name), f"{registry.host}/{name}:1")
    flags = [*case.flags, "--yes", "--allow-insecure-registry", "--allow-http-registry"]
    if case.verb == "attest":
        (folder / "predicate.json").write_text(json.dumps(VULNERABILITIES))
        flags += ["--predicate", str(folder / "predicate.json")]
    environment = own(folder) | dict(case.environment)
    for key in case.keys:
        private = str(folder / f"{key}.key")
        must(
            case.client,
            case.verb,
            *flags,
            "--key",
            private,
            f"{registry.host}/{name}@{subject}",
            environment=environment,
        )
    base = f"{registry.url}/v2/{name}"
    tag = subject.replace(":", "-")
    index = None
    if case.where == "referrer":
        index = get(f"{base}/manifests/{tag}").decode()
        [entry] = json.loads(index)["manifests"]
        reference = entry["digest"]
    else:
        reference = f"{tag}.sig"
    manifest = get(f"{base}/manifests/{reference}").decode()
    parsed = json.loads(manifest)
    return {
        "made by": " ".join([case.client, case.verb, *case.flags]),
        "subject": subject,
        "repository": f"{registry.host}/{name}",
        "keys": [spki(folder / f"{key}.pub").hex() for key in case.keys],
        "manifest": manifest,
        "index": index,
        "config": get(f"{base}/blobs/{parsed['config']['digest']}").decode(),
        "layers": [get(f"{base}/blobs/{layer['digest']}").decode() for layer in parsed["layers"]],
    }


def spki(public: Path) -> bytes:
    """The DER SubjectPublicKeyInfo out of a PEM file."""
    return load_pem_public_key(public.read_bytes()).public_bytes(Encoding.DER, Public.SubjectPublicKeyInfo)


def main(names: Sequence[str]) -> None:
    """Every named vector (all of them without names) has been made again."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        private_keys(folder)
        with docker_registry(folder / "registry") as registry:
            for name in names or CASES:
                vector = make(name, CASES[name], registry, folder)
                (HERE / f"{name}.json").write_text(json.dumps(vector, indent=1) + "\n")
                print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
