from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.formats.identity import parse_subject
from proxy.trust.authority import Authority
from tests.unit.config.test_settings import MINIMAL, parse, problems
from tests.worlds.certificates import chain_of, pem, trio

CHAIN = chain_of(*trio())


def trust(ca_file: str, *identities: str) -> str:
    return (
        f"{MINIMAL}trust: {{ca: {{kind: x509, ca_file: {json.dumps(ca_file)}, identities: {json.dumps(identities)}}}}}"
    )


def test_certificates_come_inline_or_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a comment\n" + pem(CHAIN[1:]))
    subject = "x509.subject: C=DE, O=Example"
    expected = Authority("ca", frozenset(CHAIN[1:]), (parse_subject(subject),))
    for text in (trust("ca.pem", subject), trust(pem(CHAIN[1:]), subject)):
        settings = parse(text, str(tmp_path))
        assert settings.trust == (expected,)
        assert json.loads(settings.redacted_text())["trust"]["ca"]["identities"] == ["C=DE, O=Example"]


@pytest.mark.parametrize(
    "ca_file", ["none.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", pem(CHAIN)[:-40]]
)
def test_what_is_no_certificate_is_refused(ca_file: str) -> None:
    (said,) = problems(trust(ca_file, "*"))
    assert "trust.ca.ca_file" in said
    assert "allowed:" in said


def test_nobody_in_particular_is_written_as_a_star_and_an_empty_list_is_refused() -> None:
    assert parse(trust(pem(CHAIN[2:]), "*")).trust[0] == Authority("ca", frozenset(CHAIN[2:]), (parse_subject("*"),))
    assert "allowed: at least 1" in problems(trust(pem(CHAIN[2:])))[0]
    assert "allowed: attributes of a subject" in problems(trust(pem(CHAIN[2:]), ""))[0]


def test_an_authority_is_one_signer_however_many_it_certifies() -> None:
    clause = "policies: [{repositories: ['**'], pull: {require: [{signed_by: [ca], at_least: 2}]}}]"
    assert "allowed: 1 to 1" in problems(trust(pem(CHAIN[2:]), "*") + "\n" + clause)[0]
