from pathlib import Path

import pytest

from proxy import config
from proxy.config.policy_file import in_the_file, parse_policies
from proxy.oci.faults import ConfigError
from tests.unit.config.test_settings import SIGNING, parse

SETTINGS = parse(SIGNING)
EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_policies(text, "p.yaml", SETTINGS)
    return str(caught.value)


def test_the_policies_of_a_file_mean_the_same_by_themselves() -> None:
    settings = config.load(EXAMPLE)
    text, _ = settings.section
    assert parse_policies(text, "p", settings).policies == settings.policies
    found = in_the_file(settings)
    assert found.canonical == settings.policy_text()
    assert found.text == text
    line = found.document.mark(("policies", 0, "contact")).line
    assert "contact" in EXAMPLE.read_text().splitlines()[line - 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p.yaml:1:1: found nothing (null); allowed: a mapping with `policies`"),
        ("[]", "p.yaml:1:1: found a list; allowed: a mapping with `policies`"),
        ("{}", "p.yaml:1:1: policies: is missing"),
        ("policies: []\nkeys: {}", "p.yaml:2:1: keys: found a setting besides `policies`"),
        ("policies: [{repositories: [a], push: {sign_with: [x]}}]", "found x, which is not in `keys`"),
        ("policies: [{repositories: [a]}, {repositories: [a]}]", "as specific as a in line 1"),
        ("policies: [{repositories: [A]}]", "p.yaml:1:28: policies[0].repositories[0]"),
        ("policies: [\ud800]", "must be UTF-8"),
    ],
)
def test_mistakes_have_their_place(text: str, said: str) -> None:
    assert said in refused(text)


def test_warnings_of_the_policies_come_with_it_and_no_others() -> None:
    found = parse_policies("policies: [{repositories: [a]}]", "p", SETTINGS)
    assert {problem.where[0] for problem in found.warnings} == {"policies"}
    assert "allows nobody to pull" in found.warnings[0].text


def test_no_policies_are_policies() -> None:
    assert parse_policies("policies: []", "p", SETTINGS).policies.policies == ()
