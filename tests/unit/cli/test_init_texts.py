"""What `init` writes is valid, says what was asked for, and is inert whatever was asked for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import config
from proxy.cli.init_texts import Draft, TokenText, configuration, summary
from proxy.oci.faults import ConfigError

TOKEN = TokenText("/m.so", "countersign", "secrets/pin", {"SOFTHSM2_CONF": "/d/softhsm2.conf"})


def draft(**changes: object) -> Draft:
    wanted = {"upstream": "http://127.0.0.1:5999", "public_url": "http://127.0.0.1:5000"}
    return Draft(**{**wanted, **changes})  # type: ignore[arg-type]


def parse(text: str) -> config.Settings:
    return config.parse(text.encode(), Path("/d/countersign.yaml"))


def test_signs_on_push_and_enforces_on_pull() -> None:
    [policy] = parse(configuration(draft(), TOKEN)).policies.policies
    assert policy.repositories == ("**",)
    assert policy.push.sign_with == ("release",)
    assert policy.pull.mode == "enforce"
    assert policy.pull.require[0].signed_by == ("release",)


def test_adopting_only_warns() -> None:
    [policy] = parse(configuration(draft(adopt=True, repositories="prod/**"), TOKEN)).policies.policies
    assert (policy.pull.mode, policy.repositories) == ("warn", ("prod/**",))


def test_editors_find_the_schema_in_the_first_line() -> None:
    first = configuration(draft(), TOKEN).splitlines()[0]
    assert first == "# yaml-language-server: $schema=./countersign.schema.json"


def test_a_token_without_environment() -> None:
    settings = parse(configuration(draft(), TokenText("/v.so", "prod", "/run/pin", {})))
    assert settings.tokens["hsm"].environment == {}
    assert settings.tokens["hsm"].pin.file == Path("/run/pin")


@given(st.text(min_size=1, max_size=30))
def test_a_label_is_itself_or_refused_whatever_is_in_it(label: str) -> None:
    try:
        settings = parse(configuration(draft(), TokenText("/m.so", label, "pin", {})))
    except ConfigError:
        return
    assert settings.tokens["hsm"].label == label


@pytest.mark.parametrize(("pattern", "name"), [("**", "demo/app"), ("prod/**", "prod/demo"), ("app-*", "app-demo")])
def test_the_next_commands_have_the_real_names_in_them(pattern: str, name: str) -> None:
    image = f"127.0.0.1:5000/{name}:1"
    settings = parse(configuration(draft(repositories=pattern), TOKEN))
    printed = summary(settings, ["/d/countersign.yaml"], ["[ok] upstream: answers"], kept=False)
    assert "countersign serve --config /d/countersign.yaml" in printed
    assert f"docker push {image}" in printed
    assert f"cosign verify --key /d/keys/release.pub --insecure-ignore-tlog {image}" in printed
    assert "  [ok] upstream: answers\n" in printed
    assert "  [!!] /d/countersign.yaml:40:5: policies[0]: no contact" in printed
    assert "Only this proxy may reach http://127.0.0.1:5999" in printed


def test_what_init_writes_names_whom_people_ask() -> None:
    settings = parse(configuration(draft(contact='#platform "help"'), TOKEN))
    assert settings.policies.policies[0].contact == '#platform "help"'
    assert "no contact" not in " ".join(settings.warnings)
    assert "no contact" in " ".join(parse(configuration(draft(), TOKEN)).warnings)


def test_an_https_url_without_tls_is_told() -> None:
    told = "clients use https://r.test, and are served without TLS: set server.tls"
    assert told in " ".join(parse(configuration(draft(public_url="https://r.test"), TOKEN)).warnings)


def test_what_is_written_as_a_comment_is_valid_where_it_is_uncommented() -> None:
    text = configuration(draft(public_url="https://r.test"), TOKEN)
    for name in ("contact", "credentials"):
        text = text.replace(f"# {name}:", f"{name}:")
    settings = parse(text)
    assert settings.policies.policies[0].contact == "#platform-help"
    account = settings.upstream.credentials
    assert account is not None
    assert account.password.file == Path("/d/secrets/registry-password")
