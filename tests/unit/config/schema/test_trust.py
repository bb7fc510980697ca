"""Keyless signers in the configuration: everything must be there, and be understood, when the file is read."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.config.schema.trust import ROOT_BYTES
from proxy.oci.faults import ConfigError
from proxy.trust.authority import KeylessSigner
from tests.unit.config.test_settings import MINIMAL, parse
from tests.worlds.sigstore import Sigstore

ROOT = Sigstore().trusted_root()
ENTRY = {
    "kind": "keyless",
    "issuer": "https://accounts.example.com",
    "identities": ["release@example.com"],
    "trusted_root": "trusted_root.json",
}


def read(folder: Path, **changed: Any) -> Any:
    (folder / "trusted_root.json").write_bytes(ROOT)
    entry = {name: value for name, value in {**ENTRY, **changed}.items() if value is not None}
    return parse(MINIMAL + f"\ntrust:\n  ci: {json.dumps(entry)}\n", str(folder))


def test_an_entry_becomes_a_signer(tmp_path: Path) -> None:
    (signer,) = read(tmp_path).trust
    assert signer == KeylessSigner("ci", "https://accounts.example.com", ("release@example.com",), ROOT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"issuer": None}, "issuer"),
        ({"identities": None}, "identities"),
        ({"trusted_root": None}, "trusted_root"),
        ({"identities": []}, "at least 1"),
        ({"identities": ["*@example.com"]}, "not a wildcard"),
        ({"trusted_root": "nothing.json"}, "can be read"),
        ({"trusted_root": "broken.json"}, "a trusted root with a CA and logs"),
        ({"trusted_root": "huge.json"}, "at most 4 MiB"),
        ({"public_key": "x"}, "unknown setting"),
    ],
)
def test_what_is_missing_or_wrong_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    (tmp_path / "broken.json").write_text("{}")
    (tmp_path / "huge.json").write_bytes(b" " * (ROOT_BYTES + 1))
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, **changed)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "sigstore":
            raise ModuleNotFoundError("No module named 'sigstore'", name="sigstore")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"countersign\[keyless\]"):
        read(tmp_path)
