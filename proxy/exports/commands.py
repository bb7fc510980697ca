"""The commands that verify an image manually."""

from __future__ import annotations

from proxy.exports import notation
from proxy.exports.published import Profile, Scope

EMPTY_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


def commands(profile: Profile, scope: Scope) -> str:
    """Return the commands to type: one for each key, joined so that one success is enough."""
    files = {key.short: f"{profile.name}-{key.short}.pem" for key in profile.keys}
    from_ = f"{scope.url}/-/trust/{profile.name}"
    fetch = "".join(f"curl -fsS -o {file} {from_}/key-{name}.pem\n" for name, file in files.items())
    typed = (
        "# The public keys. Compare them with keys from another source, or check the signed index: anyone able to\n"
        f"# replace a key here can replace the image too.\n{fetch}\n"
        f"# cosign 3\n{_any([_cosign(file, scope) for file in files.values()])}\n"
        "# cosign 2 needs a trusted root to read a bundle; an empty one is enough\n"
        f"echo '{EMPTY_ROOT}' > root.json\n"
        f"{_any([_cosign(file, scope, ' --trusted-root root.json') for file in files.values()])}"
    )
    return typed + (_notation(profile, scope, from_) if notation.certified(profile) else "")


def _notation(profile: Profile, scope: Scope, from_: str) -> str:
    store, image = notation.store_of(profile), scope.image
    plain = " --insecure-registry" if scope.url.startswith("http://") else ""
    return (
        "\n# notation, where signatures of its formats are written\n"
        f"curl -fsS -o notation-ca.pem {from_}/notation-ca.pem\n"
        f"curl -fsS -o trustpolicy.json {from_}/trustpolicy.json\n"
        f"notation cert add --type ca --store {store} notation-ca.pem\n"
        f"notation policy import --force trustpolicy.json\n"
        f"notation verify{plain} {image}\n"
    )


def _cosign(file: str, scope: Scope, more: str = "") -> str:
    plain = " --allow-http-registry" if scope.url.startswith("http://") else ""
    return f"cosign verify --key {file} --insecure-ignore-tlog{plain}{more} {scope.image}"


def _any(typed: list[str]) -> str:
    return " || \\\n".join(typed) + "\n"
