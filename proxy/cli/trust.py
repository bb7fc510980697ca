"""`countersign trust export`: fetches what the public listener publishes, checks it against its index, saves it."""

from __future__ import annotations

import hashlib
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from proxy.cli.admin import ANSWER_BYTES, TIMEOUT_S
from proxy.exports.index import TYPE
from proxy.oci.faults import ConfigError, Fault, Invalid, Unavailable, quoted

_FINE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@dataclass(frozen=True)
class ExportOptions:
    """The requested file and server (its public URL), the image, and the public key that must have signed the index."""

    server: str
    file: str | None = None
    to: Path | None = None
    image: str | None = None
    key: Path | None = None


def export(wish: ExportOptions) -> tuple[dict[str, Any], str]:
    """Return one file, or all addresses, or how many files were written: as data and as text.

    Raises Invalid, ConfigError, Unavailable, Fault.
    """
    if wish.image is not None and wish.file is None:
        raise Invalid("--image needs the FILE to make for it, such as release/commands.txt")
    if wish.image is not None and wish.key is not None:
        raise Invalid("--key checks what the signed index lists, and a file for one image is not in it; leave one out")
    if wish.image is not None:
        return _one(wish, _get(wish.server, f"{_path(wish.file or '')}?image={quote(wish.image, safe='')}"))
    index, signatures = _announced(wish)
    if wish.file is not None:
        return _one(wish, _checked(wish.server, index, wish.file))
    if wish.to is not None:
        return _write(wish, index, signatures)
    return {"files": list(index)}, "".join(f"{path}\n" for path in index)


def _one(wish: ExportOptions, data: bytes) -> tuple[dict[str, Any], str]:
    return {"file": wish.file, "text": data.decode()}, data.decode()


def _announced(wish: ExportOptions) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the index, with its bytes and the given key's signature under their file names."""
    raw = _get(wish.server, "index.json")
    kept = {"index.json": raw}
    if wish.key is not None:
        name, signature = _vouched(wish, raw)
        kept[f"index.{name[:12]}.sig"] = signature
    return _files(wish.server, raw), kept


def _files(server: str, raw: bytes) -> dict[str, str]:
    """Return the hash of every file by its path, in index order."""
    try:
        index = json.loads(raw)
        files = {_path(file["path"]): str(file["sha256"]) for file in index["files"]}
        known = index["_type"] == TYPE
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise Fault("UNKNOWN", f"{server}/-/trust/index.json is not an index that this version reads", status=502)
    return files


def _vouched(wish: ExportOptions, raw: bytes) -> tuple[str, bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    from proxy.formats.algorithms import verifies
    from proxy.trust.keys import fingerprint

    key = wish.key or Path()
    try:
        loaded = load_pem_public_key(key.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"--key: {key}: {error}") from None
    spki = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = _get(wish.server, f"signatures/{fingerprint(spki)}.sig")
    if not verifies(spki, signature, raw):
        raise Fault("DENIED", f"the index at {wish.server} is not signed by {key}; nothing was saved", status=403)
    return fingerprint(spki), signature


def _write(wish: ExportOptions, index: dict[str, str], kept: dict[str, bytes]) -> tuple[dict[str, Any], str]:
    """Write all files after fetching all of them: the folder never holds half of a revision."""
    files = {**{path: _checked(wish.server, index, path) for path in index}, **kept}
    folder = wish.to or Path()
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    vouched = f"signed by {wish.key}" if wish.key else "not checked against a key: give --key FILE"
    answer = {"folder": str(folder), "files": list(files), "signed_by": None if wish.key is None else str(wish.key)}
    return answer, f"{len(files)} files in {folder}, {vouched}\n"


def _checked(server: str, index: dict[str, str], path: str) -> bytes:
    expected = index.get(path)
    if expected is None:
        raise Fault("NAME_UNKNOWN", f"{server} publishes no {quoted(path)}; omit FILE to list all", status=404)
    data = _get(server, _path(path))
    if hashlib.sha256(data).hexdigest() != expected:
        what = f"{server}/-/trust/{path} does not match the index; the keys may be changing: try again"
        raise Fault("UNKNOWN", what, status=502)
    return data


def _path(path: str) -> str:
    """Return the path if it is a valid export path: it becomes a file name here."""
    parts = path.split("/")
    if not all(part.strip(".") and _FINE.issuperset(part) for part in parts):
        raise Fault("NAME_UNKNOWN", f"{quoted(path)} is not a file of an export", status=404)
    return path


def _get(server: str, path: str) -> bytes:
    parts = urlsplit(server)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"--server: found {server!a}; allowed: the registry's URL, https://HOST or https://HOST:PORT")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/-/trust/{path}", headers={"Accept": "text/plain"})
        reply = connection.getresponse()
        status, data = reply.status, reply.read(ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{server} does not answer ({error}); is it the URL that clients pull from?") from None
    finally:
        connection.close()
    if status == 200:
        return data
    said = data[:500].decode("utf-8", "replace").strip()
    if status >= 500:
        raise Unavailable(f"{server}: {said}")
    raise Fault("NAME_UNKNOWN", f"{server}: {said}", status=status)
