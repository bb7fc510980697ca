"""What the documents say, against the tables they speak of."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy import config
from proxy.admin.openapi import document
from proxy.admin.problem_codes import CODES
from proxy.cli.app import whole
from proxy.cli.exits import Exit
from proxy.config.schema import ConfigFile
from proxy.config.words import described
from proxy.server.operations import ROUTES
from proxy.trust.authority import Authority
from proxy.trust.roles import GRANTS, Permission
from tests.worlds.certificates import chain_of, pem, trio
from tests.worlds.sigstore import Sigstore

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
EXAMPLE = ROOT / "config.example.yaml"
OPENAPI = REFERENCE / "openapi.json"


def settings_of(model: type[BaseModel]) -> set[str]:
    """Every setting's own name, all the way down."""
    return {place[-1].strip("<>") for place, _ in described(model) if not place[-1].startswith("<")}


def test_the_example_is_valid() -> None:
    settings = config.load(EXAMPLE)
    assert settings.policies.policies
    assert all("cannot check" in warning for warning in settings.warnings), "only its secrets are not there"


def test_the_example_mentions_every_setting() -> None:
    written = set(re.findall(r"[\s{#,-](\w+):", EXAMPLE.read_text()))
    assert settings_of(ConfigFile) - written == set()


def test_what_the_example_comments_out_is_valid_too(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    for name in (
        "registry.pem",
        "registry.key",
        "admin.pem",
        "admin.key",
        "staff-ca.pem",
        "upstream-ca.pem",
        "client.pem",
    ):
        (tmp_path / "tls").mkdir(exist_ok=True)
        (tmp_path / "tls" / name).touch()
    (tmp_path / "trusted_root.json").write_bytes(Sigstore().trusted_root())
    for name in ("tsa-root.pem", "outbound-ca.pem"):
        (tmp_path / name).write_text(pem(chain_of(*trio())[2:]))
    keyless = "ci|  kind|  issuer|  identities|  trusted_root|tsa_ca_file|crl|crl_unavailable"
    text = re.sub(r"^# (?=(timestamps|  url|  ca_file|  required):)", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^  # (?=(client_ca|certificates|  - name|    (match|roles|repositories)):)", "  ", text, flags=re.MULTILINE
    )
    full = re.sub(
        rf"^( +)# (?=(tls|  cert|  key|ca_file|client_cert|serial|{keyless}):)", r"\1", text, flags=re.MULTILINE
    )
    settings = config.parse(full.encode(), tmp_path / "countersign.yaml")
    assert settings.server.tls is not None
    assert settings.admin.tls is not None
    assert settings.admin.certificates[0].name == "erika"
    assert settings.tokens["hsm"].serial is not None
    assert settings.upstream.client_cert is not None
    assert settings.file.timestamps is not None
    assert any(isinstance(entry, Authority) and entry.crl and entry.tsa_roots for entry in settings.trust)
    assert "ci" in {entry.name for entry in settings.trust}


def shown(place: tuple[str, ...]) -> str:
    """`policies[].push.allow`, `tokens.NAME.label`."""
    text = ""
    for step in place:
        text += {"<n>": "[]", "<name>": ".NAME"}.get(step, f".{step}")
    return text.removeprefix(".")


def default_of(info: FieldInfo) -> str:
    """What holds where a setting is left out."""
    if info.is_required():
        return "required"
    if info.default_factory is not None or info.default is None:
        return ""
    value = [*info.default] if isinstance(info.default, tuple) else info.default
    return f"`{json.dumps(value)}`"


def settings_table() -> str:
    """The table of docs/reference/configuration.md."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for place, info in described(ConfigFile):
        says = (info.description or "").replace("|", "\\|")
        lines.append(f"| `{shown(place)}` | {default_of(info)} | {says} |")
    return "\n".join(lines) + "\n"


def exits_table() -> str:
    """The exit codes of docs/reference/commands.md."""
    source = (ROOT / "proxy/cli/exits.py").read_text()
    says = dict(re.findall(r"^    ([A-Z_]+) = \d+  # (.*)$", source, re.MULTILINE))
    lines = ["| code | name | when |", "|---|---|---|"]
    lines += [f"| {code.value} | `{code.name}` | {says.get(code.name, 'all is well')} |" for code in Exit]
    return "\n".join(lines) + "\n"


def commands_table() -> str:
    """The commands, as the command line itself knows them."""
    lines = ["| command | what it does |", "|---|---|"]
    for name, command in walked(typer.main.get_command(whole()), ""):
        says = (command.help or "").split("\n")[0].replace("|", "\\|")
        lines.append(f"| `countersign {name}` | {says} |")
    return "\n".join(lines) + "\n"


def walked(command: Any, name: str) -> list[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    inner = getattr(command, "commands", None)
    if not inner:
        return [(name, command)]
    return [pair for own, each in inner.items() for pair in walked(each, f"{name} {own}".strip())]


def test_every_setting_says_what_it_does() -> None:
    silent = [shown(place) for place, info in described(ConfigFile) if not info.description]
    assert silent == [], "limits are described in proxy/config/limits.py"


def roles_table() -> str:
    """Who may what, for docs/reference/admin-api.md."""
    lines = ["| role | may |", "|---|---|"]
    allowed = {role: ", ".join(may.value for may in Permission if may in granted) for role, granted in GRANTS.items()}
    lines += [f"| `{role}` | {may} |" for role, may in allowed.items()]
    return "\n".join(lines) + "\n"


def routes_table() -> str:
    """The calls of docs/reference/admin-api.md."""
    lines = ["| call | what it does | needs to |", "|---|---|---|"]
    lines += [f"| `{route.method} {route.path}` | {route.says} | {route.permission.value} |" for route in ROUTES]
    return "\n".join(lines) + "\n"


def problems_table() -> str:
    """The codes of docs/reference/problems.md, each a place that `type` names."""
    lines = ["| code | status | what it means |", "|---|---|---|"]
    lines += [f'| <a id="{code}"></a>`{code}` | {each.status} | {each.says} |' for code, each in CODES.items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("problems.md", problems_table),
        ("configuration.md", settings_table),
        ("commands.md", exits_table),
        ("commands.md", commands_table),
        ("admin-api.md", roles_table),
        ("admin-api.md", routes_table),
    ],
    ids=["problems", "settings", "exit codes", "commands", "roles", "routes"],
)
def test_reference_pages_have_the_table_of_the_code(page: str, table: Callable[[], str]) -> None:
    assert table() in (REFERENCE / page).read_text(), f"docs/reference/{page}: run `python -m tests.test_docs`"


def openapi_text() -> str:
    """The admin API as the server describes it."""
    return json.dumps(document(ROUTES), indent=1) + "\n"


def test_the_committed_openapi_document_is_the_one_that_is_served() -> None:
    assert OPENAPI.read_text() == openapi_text(), "run `python -m tests.test_docs`"


def renew() -> None:
    """Write the tables of the code into the pages, in place of those that stand there."""
    OPENAPI.write_text(openapi_text())
    pages = {
        "configuration.md": [settings_table()],
        "commands.md": [commands_table(), exits_table()],
        "admin-api.md": [roles_table(), routes_table()],
        "problems.md": [problems_table()],
    }
    for page, tables in pages.items():
        text = (REFERENCE / page).read_text()
        for old, new in zip(re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE), tables, strict=True):
            text = text.replace(old, new)
        (REFERENCE / page).write_text(text)


if __name__ == "__main__":
    renew()
