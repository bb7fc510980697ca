from pathlib import Path

import pytest

from proxy import config
from proxy.config.policy_file import in_the_file, parse_policies, policies_of
from proxy.config.settings import policies_in, policy_text
from proxy.config.yaml import TOLD
from proxy.oci.faults import ConfigError
from tests.unit.config.test_settings import SIGNING, parse

SETTINGS = parse(SIGNING)
EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_policies(text, "p.yaml", SETTINGS.signers)
    return str(caught.value)


def test_the_policies_of_a_file_mean_the_same_by_themselves() -> None:
    settings = config.load(EXAMPLE)
    text, _ = settings.section
    parsed = parse_policies(text, "p", settings.signers)
    assert policies_in(parsed.entries) == settings.policies.policies
    found = in_the_file(settings)
    assert found.canonical == settings.policy_text()
    assert found.text == text
    line = parsed.document.mark(("policies", 0, "contact")).line + found.line - 1
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
    found = parse_policies("policies: [{repositories: [a]}]", "p", SETTINGS.signers)
    assert {problem.where[0] for problem in found.doubts} == {"policies"}
    assert "nobody can pull" in found.doubts[0].text


def test_no_policies_are_policies() -> None:
    assert parse_policies("policies: []", "p", SETTINGS.signers).entries == ()


FULL = """\
policies:
  - repositories: ["prod/**", "live/*"]
    contact: "#platform"
    owner: erika
    help_url: https://wiki.example/images
    push: {sign_with: [release], formats: [notation-jws], claims: [time], immutable_tags: ["v*"], allow: [ci]}
    pull:
      mode: warn
      enforce_after: 2027-01-31T08:00:00Z
      require: [{signed_by: [release]}]
      blobs: open
      reviewers: [scan]
      head_on_denied: allow
      trust_ledger: true
  - repositories: [a]
"""


def test_what_is_read_elsewhere_comes_back_as_the_very_policies_that_were_meant() -> None:
    meant = policies_in(parse_policies(FULL, "p", SETTINGS.signers).entries)
    back = policies_of(policy_text(meant))
    assert back.policies == meant
    assert back.revision == parse(SIGNING[: SIGNING.index("policies:")] + FULL).policies.revision


def test_very_many_mistakes_are_counted_and_the_first_are_told() -> None:
    names = ", ".join("x" for _ in range(900))
    lines = refused(f"policies: [{{repositories: [a], push: {{sign_with: [{names}]}}}}]").splitlines()
    assert len(lines) == TOLD + 1
    assert lines[-1].endswith(f"and {900 - TOLD} more problems")


def test_a_text_has_so_many_values_and_no_more_where_others_wait_for_it() -> None:
    names = ", ".join("ci" for _ in range(200))
    text = f"policies: [{{repositories: [a], push: {{allow: [{names}]}}}}]"
    assert parse_policies(text, "p", SETTINGS.signers).entries
    with pytest.raises(ConfigError, match="found more than 200 settings, lists and values; make the text smaller"):
        parse_policies(text, "p", SETTINGS.signers, segments=10)
