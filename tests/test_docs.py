"""What the documents say, against the tables they speak of."""

import re
from pathlib import Path

from pydantic import BaseModel

from proxy import config
from proxy.config_schema import ConfigFile
from proxy.config_words import described

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.yaml"


def settings_of(model: type[BaseModel]) -> set[str]:
    """Every setting's own name, all the way down."""
    return {place[-1].strip("<>") for place, _ in described(model) if not place[-1].startswith("<")}


def test_the_example_is_valid() -> None:
    settings = config.load(EXAMPLE)
    assert settings.policies.policies
    assert all("cannot look at" in warning for warning in settings.warnings), "only its secrets are not there"


def test_the_example_mentions_every_setting() -> None:
    written = set(re.findall(r"[\s{#,-](\w+):", EXAMPLE.read_text()))
    assert settings_of(ConfigFile) - written == set()


def test_what_the_example_comments_out_is_valid_too(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    for name in ("registry.pem", "registry.key", "upstream-ca.pem", "client.pem"):
        (tmp_path / "tls").mkdir(exist_ok=True)
        (tmp_path / "tls" / name).touch()
    full = re.sub(r"^( +)# (?=(tls|  cert|  key|ca_file|client_cert|serial):)", r"\1", text, flags=re.MULTILINE)
    settings = config.parse(full.encode(), tmp_path / "countersign.yaml")
    assert settings.server.tls is not None
    assert settings.tokens["hsm"].serial is not None
    assert settings.upstream.client_cert is not None
