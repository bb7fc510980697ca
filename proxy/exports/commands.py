"""The commands that verify an image by hand."""

from __future__ import annotations

from proxy.exports.published import Profile, Scope, short

EMPTY_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


def commands(profile: Profile, scope: Scope) -> str:
    """Return what to type: one command for each key, joined so that one suffices."""
    files = {short(key): f"{profile.name}-{short(key)}.pem" for key in profile.keys}
    from_ = f"{scope.url}/-/trust/{profile.name}"
    fetch = "".join(f"curl -fsS -o {file} {from_}/key-{name}.pem\n" for name, file in files.items())
    return (
        "# The public keys. Compare them with those you know, or check the signed index: whoever can give you another\n"
        f"# key can give you another image.\n{fetch}\n"
        f"# cosign 3\n{_any([_cosign(file, scope.image) for file in files.values()])}\n"
        "# cosign 2, which wants a trusted root before it reads a bundle; an empty one will do\n"
        f"echo '{EMPTY_ROOT}' > root.json\n"
        f"{_any([_cosign(file, scope.image, ' --trusted-root root.json') for file in files.values()])}"
    )


def _cosign(file: str, image: str, more: str = "") -> str:
    return f"cosign verify --key {file} --insecure-ignore-tlog{more} {image}"


def _any(typed: list[str]) -> str:
    return " || \\\n".join(typed) + "\n"
