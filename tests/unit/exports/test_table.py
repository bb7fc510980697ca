"""All files at once."""

from __future__ import annotations

from proxy.exports.table import EXPORTS, rendered
from proxy.formats.certificate import pem
from tests.worlds.published import COMPROMISED, PROFILES, RETIRED, SAYS, SCOPE


def test_paths_are_stable_and_none_is_there_twice() -> None:
    paths = [file.path for file in rendered(PROFILES, SCOPE)]
    assert len(paths) == len(set(paths))
    assert {f"release/{export.name}" for export in EXPORTS if not export.certified} <= set(paths)


def test_attestation_keys_are_in_no_file_for_images() -> None:
    body = pem(SAYS.spki).splitlines()[1].encode()
    found = {file.path.split("/")[0] for file in rendered(PROFILES, SCOPE) if body in file.body}
    assert found == {"attestation"}
    names = {file.path.split("/")[1] for file in rendered(PROFILES, SCOPE) if file.path.startswith("attestation/")}
    assert {name for name in names if not name.startswith("key-")} == {"keys.pem", "jwks.json"}


def test_keys_that_do_not_count_are_in_no_file() -> None:
    for key in (RETIRED, COMPROMISED):
        line = pem(key.spki).splitlines()[1].encode()
        assert not [file.path for file in rendered(PROFILES, SCOPE) if line in file.body]
