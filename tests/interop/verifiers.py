"""The judges of what came out: unmodified cosign 3 and 2, and the containers/image library with its default rule."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.countersign import own
from tests.interop.peers import Ran, run

TRUSTED_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


@dataclass
class Verifiers:
    """Verify images at `host` with one public key; what they write goes to `folder`."""

    host: str
    key: Path
    folder: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """The verifiers' own files are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "root.json").write_text(TRUSTED_ROOT)
        signed = {"type": "sigstoreSigned", "keyPaths": [str(self.key)]}  # the identity rule is the library's default
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.host: [signed]}}}
        (self.folder / "policy.json").write_text(json.dumps(policy))
        (self.folder / "registries.d").mkdir(exist_ok=True)
        places = f'docker:\n  "{self.host}":\n    use-sigstore-attachments: true\n'
        (self.folder / "registries.d" / "r.yaml").write_text(places)

    def of(self, key: Path) -> Verifiers:
        """Return the same for signatures by another key."""
        return Verifiers(self.host, key, self.folder / key.name)

    def cosign(self, name: str, *flags: str, version: int = 3) -> Ran:
        """What `cosign verify` says of that image, as the README tells people to call it."""
        known: list[str | Path] = ["verify", "--key", self.key, "--insecure-ignore-tlog", *flags]
        if version == 2:  # only this one wants to be told, when the signature is in a bundle
            known += ["--trusted-root", self.folder / "root.json"]
        client = "cosign" if version == 3 else "cosign2"
        return run(client, *known, f"{self.host}/{name}", environment=own(self.folder / "home"))

    def containers_image(self, name: str, *, every_child: bool = False) -> Ran:
        """What the library that podman and CRI-O are made of does with that image under `policy.json`."""
        files: list[str | Path] = [
            "-policy",
            self.folder / "policy.json",
            "-registries-d",
            self.folder / "registries.d",
        ]
        out = self.folder / f"out{next(self._numbers)}"
        every = ["-all"] if every_child else []
        return run("containersimage", *files, *every, f"docker://{self.host}/{name}", f"dir:{out}")

    def accept(
        self, repository: str, tag: str, digest: str, children: Sequence[str] = (), *, runs: bool = True
    ) -> None:
        """All of them accept the image by tag and by digest, and each child; containers/image only what it `runs`."""
        names = [f"{repository}:{tag}", f"{repository}@{digest}"]
        for name in [*names, *(f"{repository}@{child}" for child in children)]:
            for version in (3, 2):
                self.accepted(f"cosign {version}", name, self.cosign(name, version=version))
            if runs:
                self.accepted("containers/image", name, self.containers_image(name))
        if runs and children:
            for name in names:
                self.accepted("containers/image, all", name, self.containers_image(name, every_child=True))

    @staticmethod
    def accepted(who: str, name: str, ended: Ran) -> None:
        """That verifier ended well."""
        assert ended.status == 0, f"{who} refuses {name}:\n{ended.output}"
