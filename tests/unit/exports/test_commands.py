"""Commands for one image; they are typed as written in tests/interop/test_exports.py."""

from __future__ import annotations

from dataclasses import replace

from proxy.exports.commands import commands
from proxy.oci.reference import parse_reference, parse_repository
from tests.worlds.published import COUNTING, SCOPE, release


def test_every_key_is_fetched_and_tried_and_one_suffices() -> None:
    image = replace(SCOPE, repository=parse_repository("team/app"), reference=parse_reference("v1"))
    typed = commands(release(), image)
    for key in COUNTING:
        name = f"release-{key.short}.pem"
        assert f"curl -fsS -o {name} https://r.example/-/trust/release/key-{key.short}.pem\n" in typed
        assert f"cosign verify --key {name} --insecure-ignore-tlog r.example/team/app:v1" in typed
    assert typed.count(" || \\\n") == 2 * (len(COUNTING) - 1)
