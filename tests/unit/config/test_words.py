"""The sentences of a refusal, and the walk through every setting that the reference page is made from."""

from __future__ import annotations

import pytest

from proxy.config.words import described
from tests.unit.config.test_settings import MINIMAL, problems


def test_the_walk_visits_every_setting_once_and_names_what_the_file_chooses() -> None:
    places = [place for place, _ in described()]
    assert len(set(places)) == len(places)
    assert ("version",) in places
    assert ("policies", "<n>", "pull", "require", "<n>", "signed_by") in places
    assert ("tokens", "<name>", "pin", "file") in places
    assert ("server", "tls", "cert") in places
    assert {("trust", "<name>", step) for step in ("kind", "public_key", "ca_file")} <= {*places}
    assert ("upstreams", "<n>", "credentials", "password", "env") in places


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("polices: []", "did you mean policies?"),
        ("trust: {a: {public_keys: x, public_key: y}}", "did you mean public_key?"),
        ("policies: [{repositories: ['**'], pull: {moed: warn}}]", "did you mean mode?"),
        ("limits: {conections: 5}", "did you mean connections?"),
        ("trust: {a: {kind: x509, ca_files: x, identities: ['*']}}", "did you mean ca_file?"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_the_setting_that_was_meant(line: str, meant: str) -> None:
    assert any(meant in said for said in problems(MINIMAL + line))


def test_what_nothing_resembles_gets_the_list_and_no_guess() -> None:
    (said,) = problems(MINIMAL + "admin: {zzzzzz: 1}")
    assert "did you mean" not in said
    assert "allowed here: " in said
    assert "listen" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("admin: {listen: 5001}", 'put it in quotes: "5001"'),
        ("admin: {listen: true}", 'put it in quotes: "true"'),
        ("admin: {listen: [a]}", "found a list; allowed: text"),
        ("admin: {listen: }", "found nothing (null); allowed: text"),
        ("limits: {sign_queue: 2.5}", "allowed: a whole number"),
        ("keys: []", "allowed: a mapping of names"),
        ("policies: {}", "allowed: a list"),
    ],
)
def test_the_wrong_kind_is_said_in_words_of_the_file(line: str, said: str) -> None:
    (text,) = problems(f"{MINIMAL}{line}\n")
    assert said in text
    for word in ("str", "int_", "tuple", "dict", "pydantic"):
        assert word not in text


def test_a_list_whose_entries_were_refused_is_not_called_too_short() -> None:
    (said,) = problems(MINIMAL + "policies: [{repositories: [Prod]}]")
    assert "entries" not in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trust: {a: {kind: x510}}", "6:19: trust.a.kind: found 'x510'; allowed: key, x509"),
        ("trust: {a: {kind: x509, ca_file: no.pem}}", "trust.a.identities: is missing; it must be set: with `kind"),
        ("trust: {a: {}}", "trust.a.public_key: is missing; it must be set: PEM file"),
        ("trust: {a: {kind: key, ca_file: x, public_key: x}}", "trust.a.ca_file: found an unknown setting"),
    ],
)
def test_each_kind_of_trust_has_its_own_settings_and_its_tag_is_nowhere(line: str, said: str) -> None:
    found = problems(MINIMAL + line)
    assert any(said in text for text in found)
    assert not any("kind:key" in text or "kind:x509" in text for text in found)
