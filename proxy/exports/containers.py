"""policy.json and registries.d for podman, skopeo, buildah and CRI-O ("containers-policy.json.5")."""

from __future__ import annotations

import base64
import json

from proxy.exports.published import Profile, Scope
from proxy.formats.certificate import pem


def policy(profile: Profile, scope: Scope) -> str:
    """Return a policy that accepts our images signed by any of the embedded keys, and refuses all others."""
    keys = [base64.b64encode(pem(key.spki).encode()).decode() for key in profile.keys]
    # Libraries before 5.33 know only the form with one key.
    which = {"keyData": keys[0]} if len(keys) == 1 else {"keyDatas": keys}
    signed = [{"type": "sigstoreSigned", **which, "signedIdentity": {"type": "matchRepoDigestOrExact"}}]
    ours = dict.fromkeys(scope.places, signed)
    return json.dumps({"default": [{"type": "reject"}], "transports": {"docker": ours}}, indent=2) + "\n"


def registries(_profile: Profile, scope: Scope) -> str:
    """Return the file for /etc/containers/registries.d that names the location of our signatures."""
    lines = [f"  {json.dumps(place)}:\n    use-sigstore-attachments: true\n" for place in scope.places]
    return "docker:\n" + "".join(lines)
