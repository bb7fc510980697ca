"""From text to settings, and from mistakes to sentences."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from proxy import config
from proxy.config import Settings
from proxy.oci.faults import ConfigError
from proxy.oci.limits import Limits

MINIMAL = """\
version: 1
server:
  public_urls: [https://registry.example.com/]
upstreams:
  - {name: registry, url: http://127.0.0.1:5999}
"""
SIGNING = (
    MINIMAL
    + """\
tokens:
  hsm: {module: /usr/lib/softhsm/libsofthsm2.so, label: prod, pin: {file: pin}}
keys:
  release: {tokens: [hsm]}
  attestation: {tokens: [hsm]}
policies:
  - repositories: ["prod/**"]
    push: {sign_with: [release]}
    pull: {require: [{signed_by: [release]}]}
"""
)


def parse(text: str, base: str = "/etc/countersign") -> Settings:
    return config.parse(text.encode(), Path(base) / "countersign.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [line.removeprefix("/etc/countersign/countersign.yaml:") for line in str(caught.value).splitlines()]


def test_defaults_are_the_design_s() -> None:
    settings = parse(MINIMAL)
    assert settings.limits == Limits()
    assert settings.server.address == ("127.0.0.1", 5000)
    assert settings.server.url == "https://registry.example.com"
    assert settings.server.hosts == ("registry.example.com",)
    assert settings.server.name == "countersign"
    assert settings.store.url == "sqlite:////etc/countersign/countersign.db"
    assert settings.socket == Path("/etc/countersign/countersign.sock")
    assert settings.policies.policies == ()


def test_a_signing_configuration() -> None:
    settings = parse(SIGNING)
    assert settings.keys["release"].algorithm == "ecdsa-p256"
    assert settings.tokens["hsm"].pin.file == Path("/etc/countersign/pin")
    assert (settings.purpose("release"), settings.purpose("attestation")) == ("image", "attestation")
    [policy] = settings.policies.policies
    assert policy.push.formats == ("cosign-simple", "sigstore-bundle")
    assert policy.pull.require[0].signed_by == ("release",)
    assert policy.pull.mode == "enforce"


def test_limits_are_all_there_with_their_defaults() -> None:
    names = ", ".join(f"{f.name}: {f.default}" for f in fields(Limits))
    assert parse(f"{MINIMAL}limits: {{{names}}}\n").limits == Limits()


def test_a_date_is_its_first_moment_in_utc() -> None:
    text = SIGNING.replace("pull: {", "pull: {mode: warn, enforce_after: 2027-07-01, ")
    after = parse(text).policies.policies[0].pull.enforce_after
    assert after is not None
    assert after.isoformat() == "2027-07-01T00:00:00+00:00"


def test_the_revision_follows_what_is_meant_and_not_how_it_is_written() -> None:
    one, other = parse(SIGNING), parse("# comment\n" + SIGNING.replace("[release]", '["release"]'))
    assert one.policies.revision == other.policies.revision
    assert one.revision == other.revision
    changed = parse(SIGNING.replace("prod/**", "live/**"))
    assert changed.policies.revision != one.policies.revision
    assert json.loads(one.policy_text())[0]["repositories"] == ["prod/**"]


def test_a_changed_limit_changes_the_configuration_and_not_the_policies() -> None:
    one, other = parse(SIGNING), parse(SIGNING + "limits: {index_depth: 2}\n")
    assert one.revision != other.revision
    assert one.policies.revision == other.policies.revision


@pytest.mark.parametrize(
    "place",
    [
        "db.example.com/c?password=canary-7f3a",
        "/c?host=/run/postgresql&user=me&password=canary-7f3a",
        "db.example.com/c?password=x@canary-7f3a",
        "me:canary-7f3a?x@db.example.com/c",
        "me:x@canary-7f3a@db.example.com/c",
    ],
)
def test_a_store_s_password_is_hidden_wherever_it_stands(place: str) -> None:
    settings = parse(f"{SIGNING}store: {{url: 'postgresql://{place}'}}\n")
    assert "canary-7f3a" in settings.store.url
    assert "canary-7f3a" not in settings.redacted_text()


def test_a_vendor_s_variable_is_shown_only_where_it_is_a_place() -> None:
    variables = "{SOFTHSM2_CONF: /etc/softhsm2.conf, VENDOR_LOGIN: /canary7f3a, OTHER_HOME: canary7f3a}"
    text = parse(SIGNING.replace("pin: {", f"environment: {variables}, pin: {{")).redacted_text()
    assert "/etc/softhsm2.conf" in text
    assert "canary7f3a" not in text


def test_no_secret_in_any_text_of_the_settings() -> None:
    secret = "canary-7f3a"
    text = SIGNING.replace("pin: {", f"environment: {{VENDOR_LOGIN: {secret}}}, pin: {{")
    settings = parse(f"{text}store: {{url: 'postgresql://me:{secret}@db.example.com/c?password={secret}'}}\n")
    assert secret in settings.store.url, "the store does need it"
    assert secret not in settings.redacted_text()
    assert secret not in repr(settings.store)
    assert "db.example.com" in settings.redacted_text()


@pytest.mark.parametrize(
    "line",
    [
        "store: {url: 'mysql://me:canary-7f3a@db/c'}",
        "tokens: {a: {module: m, label: a, pin: canary-7f3a}}",
        "tokens: {a: {module: m, label: a, pin: {file: f, value: canary-7f3a}}}",
        "tokens: {a: {module: m, label: a, pin: {file: f}, environment: {X: {y: canary-7f3a}}}}",
        'trust: {a: {public_key: "-----BEGIN PRIVATE KEY----- canary-7f3a"}}',
    ],
)
def test_no_secret_in_any_error(line: str) -> None:
    assert "canary-7f3a" not in "".join(problems(MINIMAL + line))


def test_every_error_says_where_what_was_found_and_what_is_allowed() -> None:
    said = problems(
        """\
version: 2
server: {listen: 5000, public_urls: [https://u:p@x/], tsl: 1}
upstreams:
  - {name: a, prefix: x, url: http://b, callers: ours}
tokens:
  a: {module: x.so, pin: {file: a, env: B}, label: 5}
  b: {module: x.so, pin: {file: a}, sessions: "2"}
keys: {release: {algorithm: rsa-1024, tokens: []}}
policies:
  - {repositories: [Prod], pull: {mode: "on", enforce_after: soon, require: [{signed_by: release}]}}
limits: {manifest_bytes: 0, right_to_read_s: 100}
"""
    )
    assert said == [
        "1:10: version: found the number 2; allowed: 1",
        '2:18: server.listen: found the number 5000; allowed: text (put it in quotes: "5000")',
        (
            "2:38: server.public_urls[0]: found a value (not shown, it may be a secret); "
            "allowed: a URL without user or password (use `credentials`)"
        ),
        (
            "2:55: server.tsl: found an unknown setting; did you mean tls?; "
            "allowed here: hide_signature_tags, listen, name, public_urls, tls, trusted_proxies"
        ),
        "4:23: upstreams[0].prefix: found text 'x'; allowed: \"\" only; for now one upstream serves all repositories",
        (
            "4:50: upstreams[0].callers: found text 'ours'; "
            "allowed: passthrough only; for now callers bring credentials of their own"
        ),
        "6:26: tokens.a.pin: found a mapping; allowed: exactly one of: file, env, credential",
        '6:52: tokens.a.label: found the number 5; allowed: text (put it in quotes: "5")',
        "7:47: tokens.b.sessions: found text '2'; allowed: a whole number",
        "8:29: keys.release.algorithm: found text 'rsa-1024'; allowed: ecdsa-p256, ecdsa-p384, rsa-3072 or rsa-4096",
        "8:47: keys.release.tokens: found 0 entries; allowed: at least 1",
        (
            "10:21: policies[0].repositories[0]: found text 'Prod'; "
            "allowed: lower-case repository names with * (within a segment) and ** (any segments)"
        ),
        "10:41: policies[0].pull.mode: found text 'on'; allowed: enforce, warn or off",
        (
            "10:62: policies[0].pull.enforce_after: found text 'soon'; "
            "allowed: a date or time, such as 2027-01-31 or 2027-01-31T08:00:00Z"
        ),
        "10:90: policies[0].pull.require[0].signed_by: found text 'release'; allowed: a list",
        "11:26: limits.manifest_bytes: found the number 0; allowed: more than 0",
        "11:46: limits.right_to_read_s: found the number 100; allowed: at most 60",
    ]


@pytest.mark.parametrize("version", ["true", "1.0", "2", '"1"', "", "[1]"])
def test_version_is_the_number_1(version: str) -> None:
    [said] = problems(MINIMAL.replace("version: 1", f"version: {version}"))
    assert said.endswith("; allowed: 1")


def test_what_is_missing_is_explained() -> None:
    assert problems("version: 1\nserver: {}\n") == [
        "1:1: upstreams: is missing; it must be set: the registry behind the proxy; for now exactly one",
        (
            "2:9: server.public_urls: is missing; it must be set: URLs that clients use, the canonical first; "
            "signatures are bound to its host"
        ),
    ]


def test_an_empty_file_is_no_configuration() -> None:
    assert problems("") == ["1:1: found nothing (null); allowed: a mapping of settings"]


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="countersign init"):
        config.load(tmp_path / "countersign.yaml")


def test_the_schema_is_one_that_editors_read() -> None:
    schema = config.schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) >= {"version", "server", "upstreams", "tokens", "keys", "policies", "limits"}
