"""Parts of the server, made of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.oci.faults import ConfigError
from proxy.server.build import upstream_of
from tests.unit.config.test_settings import MINIMAL, parse


async def test_an_account_without_its_password_ends_the_start_in_words(tmp_path: Path) -> None:
    account = "{name: registry, credentials: {username: us, password: {file: gone}}, "
    settings = parse(MINIMAL.replace("{name: registry, ", account), str(tmp_path))
    with pytest.raises(ConfigError, match="password of us upstream"):
        upstream_of(settings)
