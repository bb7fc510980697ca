"""Attack 35: configuration that means something else than it says is refused at load, with file, line and column."""

import re
import time
from pathlib import Path

import pytest

from proxy import config
from proxy.oci.faults import ConfigError

GOOD = """\
version: 1
server: {public_urls: [https://registry.example.com]}
upstreams: [{name: registry, url: "http://127.0.0.1:5999"}]
tokens: {hsm: {module: /m.so, label: prod, pin: {file: pin}}}
keys: {release: {tokens: [hsm]}}
policies:
  - repositories: ["**"]
    push: {sign_with: [release]}
    pull: {require: [{signed_by: [release]}]}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

CASES = {
    "alias bomb": (BOMB, "anchor"),
    "merge key": (GOOD + "<<: {version: 1}\n", "merge"),
    "duplicate section": (GOOD + "keys: {other: {tokens: [hsm]}}\n", "a second time"),
    "duplicate in a policy": (GOOD.replace("pull: {", "pull: {mode: enforce, mode: 'off', "), "a second time"),
    "no as a mode": (GOOD.replace("pull: {", "pull: {mode: no, "), "which YAML parsers read as a word"),
    "off as a mode": (GOOD.replace("pull: {", "pull: {mode: off, "), 'write "off", true or false'),
    "no as a name": (GOOD.replace("release", "no"), "which YAML parsers read as a word"),
    "octal label": (GOOD.replace("label: prod", "label: 012"), "012"),
    "sexagesimal": (GOOD.replace("label: prod", "label: 1:30"), "1:30"),
    "number for text": (GOOD.replace("label: prod", "label: 12"), 'put it in quotes: "12"'),
    "unknown key": (GOOD.replace("require", "requires"), "did you mean require?"),
    "unknown at the top": (GOOD + "polices: []\n", "did you mean policies?"),
    "python object": (GOOD + "store: !!python/object/apply:os.system [id]\n", "type tag"),
    "empty signed_by": (GOOD.replace("signed_by: [release]", "signed_by: []"), "at least 1"),
    "threshold 0": (GOOD.replace("signed_by: [release]", "signed_by: [release], at_least: 0"), "at least 1"),
    "require is nothing": (GOOD.replace("{require: [{signed_by: [release]}]}", "{require: }"), "found nothing (null)"),
    "equal specificity": (GOOD + '  - {repositories: ["**"]}\n', "as specific as"),
    "UTF-16": (GOOD.encode("utf-16").decode("latin-1"), "UTF-8"),
    "deep": (GOOD + "limits: " + "[" * 5000, "deeper"),
    "second document": (GOOD + "---\n" + GOOD, "second document"),
}


def refused(raw: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(raw, Path("/c/countersign.yaml"))
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_refused_with_file_line_and_column(name: str) -> None:
    text, expected = CASES[name]
    said = refused(text.encode("latin-1"))
    assert expected in said
    assert all(re.match(r"/c/countersign\.yaml:\d+:\d+: ", line) for line in said.splitlines())


def test_a_bomb_costs_nothing() -> None:
    began = time.perf_counter()
    refused(b"a: [" + b"[" * 900_000)
    assert time.perf_counter() - began < 1


def test_an_empty_require_means_nobody() -> None:
    settings = config.parse(
        GOOD.replace("{require: [{signed_by: [release]}]}", "{require: []}").encode(), Path("/c/c.yaml")
    )
    assert settings.policies.policies[0].pull.require == ()
    assert any("nobody can pull" in warning for warning in settings.warnings)


def test_the_good_one_is_good() -> None:
    assert config.parse(GOOD.encode(), Path("/c/c.yaml")).policies.policies[0].pull.mode == "enforce"
