"""A ClusterImagePolicy for the sigstore policy-controller (policy.sigstore.dev/v1beta1)."""

from __future__ import annotations

import json
from textwrap import indent

from proxy.exports.published import Profile, Scope, pem, short


def cluster_image_policy(profile: Profile, scope: Scope) -> str:
    """Return a policy with one authority per key; any one suffices, none uses a transparency log.

    It reads the signatures under `.sig`: that is the meaning of `signatureFormat: legacy`.
    """
    within = "" if scope.repository else "/**"
    globs = "".join(f"    - glob: {json.dumps(place + within)}\n" for place in scope.places)
    authorities = "".join(
        f"    - name: {json.dumps(f'{profile.name}-{short(key)}'.lower())}\n"
        f"      signatureFormat: legacy\n"
        f"      key:\n        hashAlgorithm: sha256\n        data: |\n{indent(pem(key.spki), ' ' * 10)}"
        for key in profile.keys
    )
    return (
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\n"
        f"metadata:\n  name: {json.dumps(object_name(profile))}\n"
        f"spec:\n  mode: enforce\n  images:\n{globs}  authorities:\n{authorities}"
    )


def object_name(profile: Profile) -> str:
    """Return a valid Kubernetes name (RFC 1123), different for each profile of one proxy."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in profile.name.lower())
    return f"countersign-{plain}".replace("..", ".-").rstrip(".-")
