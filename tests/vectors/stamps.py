"""What real timestamp authorities answered, and how these vectors are made again.

    .venv/bin/python -m tests.vectors.stamps

Needs openssl and the built timestamp authority (make clients). Keys and times differ on every run.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from proxy.formats import der, timestamp
from proxy.formats.certificate import from_pem
from proxy.formats.timestamp import Request

HERE = Path(__file__).parent / "timestamps"
NAMES = sorted(path.stem for path in HERE.glob("*.json"))
SIGNATURE = b"a signature is just bytes to a timestamp authority"
# What is wrong with the signer's certificate, as replacements in OpenSSL's configuration. OpenSSL signs with no such
# certificate, so it takes the place of the proper one afterwards: same issuer, same number, same key.
WRONG = {
    "two-purposes": ("critical,timeStamping", "critical,timeStamping,codeSigning"),
    "purpose-not-critical": ("critical,timeStamping", "timeStamping"),
    "signer-is-a-ca": ("critical,CA:FALSE", "critical,CA:TRUE"),
}


@dataclass(frozen=True)
class Stamped:
    """One question, the reply it got, and the root (DER) that vouches for the answer."""

    request: Request
    reply: bytes
    roots: tuple[bytes, ...]


def load(name: str) -> Stamped:
    """The vector of that name."""
    raw = json.loads((HERE / f"{name}.json").read_text())
    roots = tuple(bytes.fromhex(root) for root in raw["roots"])
    return Stamped(Request(bytes.fromhex(raw["request"]), raw["nonce"]), bytes.fromhex(raw["reply"]), roots)


def _with(reply: bytes, proper: bytes, changed: bytes) -> bytes:
    """The reply with another certificate in place of that one."""
    status, token = der.elements(der.inside(reply, der.SEQUENCE))
    kind, content = der.elements(der.inside(token, der.SEQUENCE))
    parts = []
    for part in der.elements(der.inside(der.inside(content, der.FIRST), der.SEQUENCE)):
        if part[0] == der.FIRST:
            inner = der.elements(der.inside(part, der.FIRST))
            parts.append(der.wrapped(der.FIRST, *(changed if one == proper else one for one in inner)))
        else:
            parts.append(part)
    content = der.wrapped(der.FIRST, der.wrapped(der.SEQUENCE, *parts))
    return der.wrapped(der.SEQUENCE, status, der.wrapped(der.SEQUENCE, kind, content))


def _keep(name: str, request: Request, reply: bytes, roots: tuple[bytes, ...]) -> None:
    value = {
        "nonce": request.nonce,
        "request": request.body.hex(),
        "reply": reply.hex(),
        "roots": [root.hex() for root in roots],
    }
    (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    """Ask each authority once."""
    from tests.interop import timestamps as real

    request = timestamp.request(SIGNATURE)
    with tempfile.TemporaryDirectory() as folder:
        config = real.make_openssl_authority(Path(folder))
        (root,), reply = from_pem((config.parent / "root.pem").read_bytes()), real.openssl_reply(config, request.body)
        proper = from_pem((config.parent / "tsa.pem").read_bytes())[0]
        _keep("openssl", request, reply, (root,))
        for name, (old, new) in WRONG.items():
            config.write_text(config.read_text().replace(old, new))
            changed = real.make_openssl_signer(config)
            config.write_text(config.read_text().replace(new, old))
            _keep(name, request, _with(reply, proper, changed), (root,))
        with real.sigstore_authority(Path(folder) / "sigstore") as authority:
            headers = {"Content-Type": timestamp.REQUEST_TYPE}
            asked = urllib.request.Request(authority.url, request.body, headers)  # noqa: S310  loopback
            with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
                _keep("sigstore", request, answer.read(), authority.roots)


if __name__ == "__main__":
    main()
