"""Policies for what runs images: podman and CRI-O (containers-policy.json.5), Kyverno, the policy-controller."""

from __future__ import annotations

import base64
import json
from textwrap import indent

from proxy.exports.published import Profile, Scope
from proxy.formats.certificate import pem


def cluster_policy(profile: Profile, scope: Scope) -> str:
    """Return a policy that admits pods whose images one of the keys signed, and pins the images to their digests.

    The policy uses no public logs: a key in a token has no entry there.
    """
    within = ":*" if scope.repository else "/*"
    images = [
        place + end for place in scope.places for end in dict.fromkeys((within, "@*" if scope.repository else within))
    ]
    references = "".join(f"            - {json.dumps(image)}\n" for image in images)
    entries = "".join(
        "                - keys:\n"
        "                    signatureAlgorithm: sha256\n"
        f"                    publicKeys: |\n{indent(pem(key.spki), ' ' * 22)}"
        '                    rekor:\n                      ignoreTlog: true\n                      url: ""\n'
        "                    ctlog:\n                      ignoreSCT: true\n"
        for key in profile.keys
    )
    return (
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\n"
        f"metadata:\n  name: {json.dumps(object_name(profile))}\n"
        "spec:\n  background: false\n  webhookConfiguration:\n    failurePolicy: Fail\n    timeoutSeconds: 30\n"
        "  rules:\n    - name: signed\n      match:\n        any:\n          - resources:\n              kinds: [Pod]\n"
        f"      verifyImages:\n        - imageReferences:\n{references}"
        "          failureAction: Enforce\n          type: Cosign\n"
        "          mutateDigest: true\n          verifyDigest: true\n          required: true\n"
        f"          attestors:\n            - count: 1\n              entries:\n{entries}"
    )


def image_validating_policy(profile: Profile, scope: Scope) -> str:
    """Return the same as the kind of policy that takes the place of ClusterPolicy: Kyverno 1.17 and later."""
    within = ["/*"] if not scope.repository else [":*", "@*"]
    globs = "".join(f"    - glob: {json.dumps(place + end)}\n" for place in scope.places for end in within)
    attestors = "".join(
        f"    - name: key_{key.short}\n      cosign:\n"
        f"        key:\n          hashAlgorithm: sha256\n          data: |\n{indent(pem(key.spki), ' ' * 12)}"
        "        ctlog:\n          insecureIgnoreTlog: true\n          insecureIgnoreSCT: true\n"
        for key in profile.keys
    )
    signers = ", ".join(f"attestors.key_{key.short}" for key in profile.keys)
    return (
        "apiVersion: policies.kyverno.io/v1\nkind: ImageValidatingPolicy\n"
        f"metadata:\n  name: {json.dumps(object_name(profile))}\n"
        "spec:\n  failurePolicy: Fail\n  validationActions: [Deny]\n  webhookConfiguration:\n    timeoutSeconds: 30\n"
        '  matchConstraints:\n    resourceRules:\n      - apiGroups: [""]\n        apiVersions: [v1]\n'
        "        operations: [CREATE, UPDATE]\n        resources: [pods, pods/ephemeralcontainers]\n"
        "  validationConfigurations:\n    mutateDigest: true\n    verifyDigest: true\n    required: true\n"
        f"  matchImageReferences:\n{globs}  attestors:\n{attestors}"
        "  validations:\n    - message: no key of this registry signed the image\n      expression: >-\n"
        "        images.all(kind, images[kind].all(image,\n"
        f"        verifyImageSignatures(image, [{signers}]) > 0))\n"
    )


def cluster_image_policy(profile: Profile, scope: Scope) -> str:
    """Return a policy with one authority per key; any one suffices, none uses a transparency log.

    It reads the signatures under `.sig`: that is the meaning of `signatureFormat: legacy`.
    """
    within = "" if scope.repository else "/**"
    globs = "".join(f"    - glob: {json.dumps(place + within)}\n" for place in scope.places)
    authorities = "".join(
        f"    - name: {json.dumps(f'{profile.name}-{key.short}'.lower())}\n"
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


def containers_policy(profile: Profile, scope: Scope) -> str:
    """Return a policy that accepts our images signed by any of the embedded keys, and refuses all others."""
    keys = [base64.b64encode(pem(key.spki).encode()).decode() for key in profile.keys]
    # Libraries before 5.33 know only the form with one key.
    which = {"keyData": keys[0]} if len(keys) == 1 else {"keyDatas": keys}
    signed = [{"type": "sigstoreSigned", **which, "signedIdentity": {"type": "matchRepoDigestOrExact"}}]
    ours = dict.fromkeys(scope.places, signed)
    return json.dumps({"default": [{"type": "reject"}], "transports": {"docker": ours}}, indent=2) + "\n"


def containers_registries(_profile: Profile, scope: Scope) -> str:
    """Return the file for /etc/containers/registries.d that names the location of our signatures."""
    lines = [f"  {json.dumps(place)}:\n    use-sigstore-attachments: true\n" for place in scope.places]
    return "docker:\n" + "".join(lines)
