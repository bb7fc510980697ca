"""`countersign trust export` believes nothing that the index, or the key it was given, does not vouch for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from proxy.cli import trust
from proxy.cli.trust import ExportOptions, export
from proxy.exports.index import TYPE
from proxy.formats.certificate import pem
from proxy.oci.faults import Fault, Invalid
from proxy.trust.keys import fingerprint
from tests.worlds.softkey import SoftKey, soft_key

SERVER = "https://r.example"
BODY = b"-----BEGIN PUBLIC KEY-----\n"


def served(monkeypatch: pytest.MonkeyPatch, key: SoftKey, path: str = "release/keys.pem", body: bytes = BODY) -> None:
    """What a server answers, by path: one file of that body, in an index that this key signs."""
    files = [{"path": path, "sha256": hashlib.sha256(BODY).hexdigest()}]
    index = json.dumps({"_type": TYPE, "files": files}).encode()
    answers = {path: body, "index.json": index, f"signatures/{fingerprint(key.spki)}.sig": key.sign(index)}

    def get(server: str, asked: str) -> bytes:
        assert server == SERVER
        if asked not in answers:
            raise Fault("NAME_UNKNOWN", f"nothing at {asked}", status=404)
        return answers[asked]

    monkeypatch.setattr(trust, "_get", get)


def public(folder: Path, key: SoftKey) -> Path:
    file = folder / "key.pub"
    file.write_text(pem(key.spki))
    return file


def test_everything_is_kept_with_the_signature_that_vouches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = soft_key()
    served(monkeypatch, key)
    _, said = export(ExportOptions(SERVER, to=tmp_path / "out", key=public(tmp_path, key)))
    assert "signed by" in said
    assert (tmp_path / "out" / "release" / "keys.pem").read_bytes() == BODY
    assert len(list((tmp_path / "out").rglob("*"))) == 4


def test_without_a_key_it_says_that_nobody_vouches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served(monkeypatch, soft_key())
    assert "not checked against a key" in export(ExportOptions(SERVER, to=tmp_path))[1]
    assert export(ExportOptions(SERVER)) == ({"files": ["release/keys.pem"]}, "release/keys.pem\n")
    assert export(ExportOptions(SERVER, "release/keys.pem"))[1] == BODY.decode()


def test_an_index_of_another_key_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served(monkeypatch, soft_key())
    with pytest.raises(Fault):
        export(ExportOptions(SERVER, to=tmp_path / "out", key=public(tmp_path, soft_key())))
    assert not (tmp_path / "out").exists()


def test_a_signature_over_another_index_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = soft_key()
    served(monkeypatch, key)
    honest = trust._get
    monkeypatch.setattr(trust, "_get", lambda s, p: honest(s, p) + (b"\n" if p == "index.json" else b""))
    with pytest.raises(Fault, match="not signed by"):
        export(ExportOptions(SERVER, to=tmp_path / "out", key=public(tmp_path, key)))
    assert not (tmp_path / "out").exists()


def test_a_file_that_differs_from_the_index_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served(monkeypatch, soft_key(), body=b"another key")
    with pytest.raises(Fault, match="does not match the index"):
        export(ExportOptions(SERVER, to=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "a//b", "a/\x1b[31m", "."])
def test_no_path_leads_out_of_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str) -> None:
    served(monkeypatch, soft_key(), path=path)
    with pytest.raises(Fault, match="not a file of an export"):
        export(ExportOptions(SERVER, to=tmp_path / "out"))


def test_what_cannot_be_checked_together_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs the FILE"):
        export(ExportOptions(SERVER, image="app:1"))
    with pytest.raises(Invalid, match="not in it"):
        export(ExportOptions(SERVER, "release/commands.txt", image="app:1", key=tmp_path))
