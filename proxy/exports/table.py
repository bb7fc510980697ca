"""All exports: their names, their purpose and their renderers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.exports import commands, notation, runtimes
from proxy.exports.published import Profile, Scope, as_jwks, as_pem
from proxy.formats.certificate import pem

PEM, JSON, YAML, TEXT = "application/x-pem-file", "application/json", "application/yaml", "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Export:
    """One kind of file. Files for images contain no attestation key."""

    name: str
    media_type: str
    what: str
    render: Callable[[Profile, Scope], str]
    for_images: bool = True
    certified: bool = False  # only if a key has certificates that the tool can use


EXPORTS: tuple[Export, ...] = (
    Export("keys.pem", PEM, "all trusted keys (PEM, concatenated)", as_pem, False),
    Export("jwks.json", "application/jwk-set+json", "all trusted keys, as a JSON Web Key set", as_jwks, False),
    Export(
        "policy.json", JSON, "podman, skopeo, buildah, CRI-O: /etc/containers/policy.json", runtimes.containers_policy
    ),
    Export("registries.yaml", YAML, "with policy.json: /etc/containers/registries.d/", runtimes.containers_registries),
    Export(
        "cluster-image-policy.yaml",
        YAML,
        "sigstore policy-controller: kubectl apply -f",
        runtimes.cluster_image_policy,
    ),
    Export(
        "kyverno-image-validating-policy.yaml",
        YAML,
        "Kyverno 1.17 and later (ImageValidatingPolicy): kubectl apply -f",
        runtimes.image_validating_policy,
    ),
    Export("kyverno.yaml", YAML, "older Kyverno (ClusterPolicy): kubectl apply -f", runtimes.cluster_policy),
    Export("notation-ca.pem", PEM, "notation: cert add --type ca", notation.trust_store, certified=True),
    Export("trustpolicy.json", JSON, "notation: policy import", notation.trust_policy, certified=True),
    Export("commands.txt", TEXT, "the commands that verify an image by hand", commands.commands),
)


@dataclass(frozen=True)
class Rendered:
    """One file, at its path under `/-/trust/`."""

    path: str
    media_type: str
    what: str
    body: bytes


def rendered(profiles: Sequence[Profile], scope: Scope) -> tuple[Rendered, ...]:
    """Return all files of these profiles. The same keys and names give the same bytes."""
    return tuple(file for profile in profiles for file in _of(profile, scope))


def _of(profile: Profile, scope: Scope) -> list[Rendered]:
    made = [
        Rendered(
            f"{profile.name}/{export.name}", export.media_type, export.what, export.render(profile, scope).encode()
        )
        for export in EXPORTS
        if not (export.for_images and profile.attesting) and (not export.certified or notation.certified(profile))
    ]
    single = [
        Rendered(f"{profile.name}/key-{key.short}.pem", PEM, f"one key ({key.state})", pem(key.spki).encode())
        for key in profile.keys
    ]
    return made + single
