"""The Dockerfile, deploy/compose.yaml and docs/operations-container.md fit one another and the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_docs_pages import ROOT, code, command_of

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = ROOT / "deploy" / "compose.yaml"
PAGE = code((ROOT / "docs" / "operations-container.md").read_text())
STATE = Path("/var/lib/countersign")


def compose() -> dict[str, Any]:
    found = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(found, dict)
    return found


def stages() -> list[tuple[str, str]]:
    """The name of each stage of the Dockerfile, and its text."""
    return [
        (named.group(1) if (named := re.search(r" AS (\w+)$", part.partition("\n")[0])) else "", part)
        for part in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    ]


def parsed(words: list[str]) -> dict[str, str]:
    """The options of a countersign command, each of which exists."""
    command, rest = command_of(words)
    known = {name: option for option in command.params for name in option.opts}
    found: dict[str, str] = {}
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name.startswith("-"):
            assert name in known, f"countersign {shlex.join(words)}: no option {name}"
            found[name] = value if equals or known[name].is_flag else rest.pop(0)
    return found


@pytest.mark.parametrize("service", ["init", "countersign"])
def test_what_compose_starts_is_a_command_and_its_files_are_in_the_volume(service: str) -> None:
    entry = compose()["services"][service]
    options = parsed(entry["command"])
    assert entry["volumes"] == [f"state:{STATE}"]
    assert all(Path(value).is_relative_to(STATE) for value in options.values() if value.startswith("/"))
    assert entry["build"]["target"] in dict(stages())
    assert (COMPOSE.parent / entry["build"]["context"] / "Dockerfile").samefile(ROOT / "Dockerfile")


def test_compose_publishes_the_proxy_and_nothing_else() -> None:
    whole = compose()
    services = whole["services"]
    published = {name: entry["ports"] for name, entry in services.items() if "ports" in entry}
    options = parsed(services["init"]["command"])
    port = options["--listen"].rpartition(":")[2]
    assert published == {"countersign": [f"127.0.0.1:{port}:{port}"]}
    assert options["--public-url"] == f"http://127.0.0.1:{port}"
    assert whole["networks"][services["registry"]["networks"][0]]["internal"] is True
    assert len(services["registry"]["networks"]) == 1
    assert options["--upstream"] == "http://registry:5000"
    assert set(services["registry"]["networks"]) <= set(services["countersign"]["networks"]) <= set(whole["networks"])


def test_init_is_run_once_and_not_at_each_start_where_it_would_refuse_an_edited_file() -> None:
    services = compose()["services"]
    assert services["init"]["profiles"] == ["once"]
    assert services["countersign"]["profiles"] == []
    assert "init" not in services["countersign"]["depends_on"]


def test_the_image_is_the_last_stage_and_has_no_softhsm() -> None:
    *_, (name, last) = stages()
    by_name = dict(stages())
    assert name == ""
    assert last.strip() == "runtime"
    assert "apt-get" not in by_name["runtime"]
    assert "install --yes --no-install-recommends softhsm2" in by_name["softhsm"]
    assert by_name["softhsm"].rstrip().endswith("USER 10001:10001")


def test_what_the_dockerfile_names_is_there() -> None:
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert len(sources) >= 4
    assert all((ROOT / name).exists() for each in sources for name in each.split())
    assert f"WORKDIR {STATE}" in DOCKERFILE
    (serving,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert parsed(yaml.safe_load(serving)) == {"--config": f"{STATE}/countersign.yaml"}
    assert 'ENTRYPOINT ["countersign"]' in DOCKERFILE


def inside() -> Iterator[list[str]]:
    """What the page has `countersign` do in a container."""
    for line in PAGE:
        words = shlex.split(line)
        if words[:2] == ["docker", "run"] and words[-1] != "countersign":
            yield words[words.index("init") :]
        elif "exec" in words:
            assert words[words.index("exec") + 1 :][:2] == ["countersign", "countersign"]  # service, then program
            yield words[words.index("exec") + 3 :]


def test_the_page_types_commands_that_exist() -> None:
    typed = list(inside())
    assert {words[0] for words in typed} == {"init", "status", "verify", "doctor"}
    for words in typed:
        options = parsed(words)
        assert words[0] != "init" or Path(options["--pin-file"]).is_relative_to(STATE)


def test_the_page_names_files_services_and_stages_that_exist() -> None:
    services = compose()["services"]
    lines = [shlex.split(line) for line in PAGE if line.startswith("docker compose")]
    assert len(lines) == 5
    for _, _, option, file, verb, *rest in lines:
        assert (option, ROOT / file) == ("-f", COMPOSE)
        named = [word for word in rest if not word.startswith("-")]
        assert verb == "up" or named[0] in services
    assert "docker build -t countersign ." in PAGE
