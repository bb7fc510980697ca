"""What we write is a signature to the real verifiers, and lives beside what they write."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from proxy.formats import bundle, carrier
from proxy.formats.format import Layer, Signing
from proxy.formats.table import FORMATS, claimed_by
from proxy.oci.limits import Limits
from proxy.oci.manifest import EMPTY_JSON, OCI_INDEX, OCI_MANIFEST, Descriptor, parse
from proxy.oci.reference import Digest, digest_of, fallback_tag, signature_tag
from proxy.trust.evidence import Verified
from proxy.trust.keys import Verifier, fingerprint
from tests.interop.images import image, push
from tests.interop.peers import Ran, must, run
from tests.interop.registries import Registry
from tests.worlds.softkey import about

pytestmark = pytest.mark.go
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CLAIMS = {"pusher": "alice@example.com", "time": "2026-01-02T12:00:00Z"}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KEYS: Mapping[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass
class World:
    """One image in a registry, a key, and a folder where verifiers find their files."""

    registry: Registry
    folder: Path
    key: PrivateKey

    def __post_init__(self) -> None:
        self.digest = Digest(push(image(self.folder / "image"), f"{self.registry.host}/app:1"))
        self.name = f"{self.registry.host}/app"
        self.public = self.folder / "key.pub"
        public = self.key.public_key()
        self.public.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.own = {"COSIGN_PASSWORD": "", "HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder)}
        root = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
        (self.folder / "root.json").write_text(root)

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))

    def layer(self, form: str, bound: str) -> Descriptor:
        """A signature of ours lies upstream as a blob; this is its descriptor."""
        by = Signing(self.spki)
        draft = FORMATS[form].draft(about(self.digest), bound, CLAIMS, by, NOON)
        blob = FORMATS[form].blob(draft.message, self.sign(draft.message), by)
        return Descriptor(blob.media_type, self.blob(blob.data), len(blob.data), blob.annotations)

    def attach_simple(self, *bound: str) -> None:
        self.blob(EMPTY_JSON)
        tag = signature_tag(self.digest)
        manifest = carrier.sig_manifest(self.get(f"manifests/{tag}"), [self.layer("cosign-simple", b) for b in bound])
        assert manifest is not None
        self.put(f"manifests/{tag}", manifest, OCI_MANIFEST)

    def attach_bundle(self) -> None:
        self.blob(EMPTY_JSON)
        body = self.get(f"manifests/{self.digest}") or b""
        subject = Descriptor(OCI_MANIFEST, self.digest, len(body))
        layer = self.layer("sigstore-bundle", self.name)
        manifest = carrier.referrer_manifest(subject, layer, bundle.MEDIA_TYPE, bundle.ABOUT, NOON)
        self.put(f"manifests/{digest_of(manifest)}", manifest, OCI_MANIFEST)
        entry = carrier.referrer(parse(manifest, OCI_MANIFEST, Limits()), digest_of(manifest), len(manifest))
        tag = fallback_tag(self.digest)
        self.put(f"manifests/{tag}", carrier.fallback_index(self.get(f"manifests/{tag}"), [entry]), OCI_INDEX)

    def findings(self) -> list[object]:
        """What we say of every layer under the `.sig` tag."""
        body = self.get(f"manifests/{signature_tag(self.digest)}") or b""
        key = Verifier(fingerprint(self.spki), self.spki, "release", "repository", True)
        found: list[object] = []
        for descriptor in parse(body, OCI_MANIFEST, Limits()).layers:
            form = claimed_by(descriptor.media_type)
            assert form is not None
            layer = Layer(descriptor, self.get(f"blobs/{descriptor.digest}") or b"")
            found += form.examine(layer, self.digest, [key])
        return found

    def cosign_key(self) -> Path:
        """The key as cosign keeps its own."""
        pem = self.folder / "key.pem"
        pem.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        must("cosign", "import-key-pair", "--key", pem, "--output-key-prefix", self.folder / "k", environment=self.own)
        return self.folder / "k.key"

    def cosign(self, client: str, *flags: str) -> Ran:
        arguments = [
            "verify",
            "--key",
            str(self.public),
            "--insecure-ignore-tlog",
            *flags,
            f"{self.name}@{self.digest}",
        ]
        return run(client, *arguments, environment=self.own)

    def containers_image(self, reference: str) -> Ran:
        signed = {"type": "sigstoreSigned", "keyPaths": [str(self.public)]}
        signed["signedIdentity"] = {"type": "matchRepoDigestOrExact"}  # type: ignore[assignment]
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.registry.host: [signed]}}}
        (self.folder / "policy.json").write_text(json.dumps(policy))
        places = self.folder / "registries.d"
        places.mkdir(exist_ok=True)
        (places / "r.yaml").write_text(f'docker:\n  "{self.registry.host}":\n    use-sigstore-attachments: true\n')
        files = ["-policy", str(self.folder / "policy.json"), "-registries-d", str(places)]
        out = self.folder / f"out-{digest_of(reference.encode())[7:15]}"
        return run("containersimage", *files, f"docker://{self.registry.host}/app{reference}", f"dir:{out}")

    def blob(self, data: bytes) -> Digest:
        url = f"{self.registry.url}/v2/app/blobs/uploads/"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as reply:  # noqa: S310 - loopback
            place = reply.headers["Location"]
        self._put(f"{place}&digest={digest_of(data)}", data, "application/octet-stream")
        return digest_of(data)

    def put(self, path: str, data: bytes, media_type: str) -> None:
        self._put(f"{self.registry.url}/v2/app/{path}", data, media_type)

    def _put(self, url: str, data: bytes, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        request = urllib.request.Request(url, data, headers, method="PUT")  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
            assert reply.status == 201

    def get(self, path: str) -> bytes | None:
        headers = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
        request = urllib.request.Request(f"{self.registry.url}/v2/app/{path}", headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
                content: bytes = reply.read()
                return content
        except urllib.error.HTTPError as error:
            error.close()
            return None


@pytest.fixture(params=list(KEYS))
def each_key(request: pytest.FixtureRequest, registry: Registry, tmp_path: Path) -> World:
    return World(registry, tmp_path, KEYS[request.param]())


@pytest.fixture
def world(registry: Registry, tmp_path: Path) -> World:
    return World(registry, tmp_path, KEYS["p256"]())


def test_simple_signing(each_key: World) -> None:
    world = each_key
    world.attach_simple(world.name, f"{world.name}:1")
    for client in ("cosign", "cosign2"):
        verified = world.cosign(client)
        assert verified.status == 0, verified.output
        assert world.cosign(client, "-a", "pusher=alice@example.com").status == 0
        assert world.cosign(client, "-a", "pusher=mallory@example.com").status != 0
    for reference in (":1", f"@{world.digest}"):
        pulled = world.containers_image(reference)
        assert pulled.status == 0, pulled.output


def test_the_bundle(each_key: World) -> None:
    world = each_key
    world.attach_bundle()
    for client, flags in (("cosign", []), ("cosign2", ["--trusted-root", str(world.folder / "root.json")])):
        verified = world.cosign(client, *flags)
        assert verified.status == 0, verified.output
        if client == "cosign":  # cosign 2 accepts the annotations of a subject and does not show them
            [shown] = json.loads(verified.stdout)
            assert shown["optional"] == {"docker-reference": world.name, **CLAIMS}


def test_containers_image_wants_the_tag_that_was_asked_for(world: World) -> None:
    world.attach_simple(world.name, f"{world.name}:2")
    assert world.containers_image(":1").status != 0
    assert world.containers_image(f"@{world.digest}").status == 0


def test_cosign_appends_to_ours_and_we_to_theirs(world: World) -> None:
    private = str(world.cosign_key())
    world.attach_simple(world.name)
    target = f"{world.name}@{world.digest}"
    must(
        "cosign2",
        "sign",
        "--tlog-upload=false",
        "--yes",
        "-a",
        "by=them",
        "--key",
        private,
        target,
        environment=world.own,
    )
    world.attach_simple(f"{world.name}:1")
    found = world.findings()
    assert [f.bound for f in found if isinstance(f, Verified)] == [world.name, world.name, f"{world.name}:1"]
    for client in ("cosign", "cosign2"):
        assert world.cosign(client, "-a", "by=them").status == 0
        assert world.cosign(client, "-a", "pusher=alice@example.com").status == 0
    assert world.containers_image(":1").status == 0


def test_another_key_is_refused_by_them_too(world: World, tmp_path: Path) -> None:
    world.attach_simple(world.name, f"{world.name}:1")
    world.attach_bundle()
    world.key = KEYS["p256"]()
    world.public.write_bytes(world.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert world.cosign("cosign").status != 0
    assert world.containers_image(":1").status != 0
