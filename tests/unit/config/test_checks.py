"""Settings that contradict each other, and those that are probably not meant."""

import pytest

from tests.unit.config.test_settings import MINIMAL, SIGNING, parse, problems


def policies(*lines: str) -> str:
    return SIGNING.split("policies:")[0] + "policies:\n" + "".join(f"  - {line}\n" for line in lines)


def of(*patterns: str) -> str:
    quoted = ", ".join(f'"{pattern}"' for pattern in patterns)
    return f"{{repositories: [{quoted}], contact: us, pull: {{require: [{{signed_by: [release]}}]}}}}"


def test_two_policies_never_have_an_equal_claim() -> None:
    [said] = problems(policies(of("prod/*-a"), of("prod/b-*")))
    assert said.startswith("13:21: policies[1].repositories[0]: found prod/b-*, as specific as prod/*-a in line 12")
    [said] = problems(policies(of("prod/**", "x"), of("live/**", "prod/**")))
    assert "policies[1].repositories[1]: found prod/**" in said


@pytest.mark.parametrize("pair", [("prod/**", "live/**"), ("prod/**", "**"), ("prod/**", "prod/app"), ("*/a", "b/*/c")])
def test_policies_that_can_be_told_apart(pair: tuple[str, str]) -> None:
    assert len(parse(policies(of(pair[0]), of(pair[1]))).policies.policies) == 2


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("push: {sign_with: [nobody]}", "found nobody, which is not in `keys`; allowed: release, attestation"),
        ("push: {sign_with: [attestation]}", "found attestation, the key for attestations"),
        ("pull: {require: [{signed_by: [nobody]}]}", "found nobody, which is in neither `keys` nor `trust`"),
        ("pull: {require: [{signed_by: [attestation]}]}", "found attestation, the key for attestations"),
        ("pull: {require: [{signed_by: [release], at_least: 2}]}", "found 2; allowed: 1 to 1"),
        ("pull: {require: [{signed_by: [release], at_least: 0}]}", "found the number 0; allowed: at least 1"),
        ("pull: {require: [{signed_by: [release, release]}]}", "found the same name twice"),
        ("pull: {require: [{signed_by: []}]}", "found 0 entries; allowed: at least 1"),
        ("pull: {enforce_after: 2027-01-01}", "found with mode: enforce; allowed with mode: warn only"),
    ],
)
def test_policies_that_contradict(policy: str, said: str) -> None:
    lines = problems(policies(f"{{repositories: [a], {policy}}}"))
    assert any(said in line for line in lines), lines


def test_one_key_cannot_serve_two_names() -> None:
    text = SIGNING.replace("attestation: {tokens: [hsm]}", "attestation: {tokens: [hsm], label: release}")
    assert "every name needs its own key" in problems(text)[0]


def test_a_declared_attestation_key_signs_no_images() -> None:
    text = SIGNING.replace("release: {tokens: [hsm]}", "release: {tokens: [hsm], purpose: attestation}")
    assert "the key for attestations" in problems(text)[0]


def test_exactly_one_upstream() -> None:
    second = MINIMAL + "  - {name: other, url: http://127.0.0.1:5998}\n"
    assert problems(second) == [
        "6:5: upstreams[1]: found a second upstream; for now exactly one serves all repositories"
    ]
    assert "found no upstream" in problems(MINIMAL.split("upstreams:")[0] + "upstreams: []\n")[0]


def test_an_upstream_that_is_ourselves() -> None:
    assert "our own public_urls" in problems(MINIMAL.replace("http://127.0.0.1:5999", "http://registry.example.com"))[0]


def test_names_of_tokens_that_are_not_there() -> None:
    assert "found vault, which is not in `tokens`; allowed: hsm" in problems(SIGNING.replace("[hsm]", "[vault]", 1))[0]


def test_listeners_that_collide() -> None:
    assert "where clients connect already" in problems(MINIMAL + 'admin: {listen: "127.0.0.1:5000"}\n')[0]
    for every in (":5000", "*:5000", "[::]:5000", "0.0.0.0:5000"):
        assert "where clients connect already" in problems(MINIMAL + f'admin: {{listen: "{every}"}}\n')[0]
    for apart in (":5001", "[::1]:5000"):
        parse(MINIMAL + f'admin: {{listen: "{apart}"}}\n')


def test_warnings_name_what_is_probably_not_meant() -> None:
    text = MINIMAL.replace("server:", 'server:\n  listen: "0.0.0.0:5000"')
    said = "\n".join(parse(text + 'admin: {listen: "0.0.0.0:5001"}\npolicies: [{repositories: ["**"]}]\n').warnings)
    for expected in ("without TLS", "not loopback", "nobody can pull", "no contact"):
        assert expected in said
    assert "every repository is closed" in "".join(parse(MINIMAL).warnings)
