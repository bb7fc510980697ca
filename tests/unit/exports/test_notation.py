"""trust store and trustpolicy.json; notation itself reads them in tests/interop/test_exports_notation.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.exports.commands import commands
from proxy.exports.notation import certified, trust_policy, trust_store
from proxy.exports.published import Profile
from proxy.exports.table import rendered
from proxy.oci.reference import parse_repository
from tests.worlds.certificates import Holder, chain_of, trio
from tests.worlds.published import ACTIVE, PREPARED, SCOPE, TRUSTED, release

CHAIN, OTHER = chain_of(*trio()), chain_of(*trio())


def with_chains(*chains: tuple[bytes, ...]) -> Profile:
    keys = (ACTIVE, TRUSTED, PREPARED)
    return replace(release(), keys=tuple(replace(k, chain=c) for k, c in zip(keys, chains, strict=False)))


def test_roots_of_all_chains_are_trusted_for_our_subjects_alone() -> None:
    profile = with_chains(CHAIN, OTHER, CHAIN)
    roots = x509.load_pem_x509_certificates(trust_store(profile, SCOPE).encode())
    assert [root.public_bytes(Encoding.DER) for root in roots] == [CHAIN[-1], OTHER[-1]]
    (policy,) = json.loads(trust_policy(profile, SCOPE))["trustPolicies"]
    assert policy["trustedIdentities"] == ["x509.subject: C=DE, ST=Berlin, O=Example, CN=images"]
    assert policy["signatureVerification"] == {"level": "strict"}
    assert policy["trustStores"] == ["ca:countersign-release"]


def test_it_is_for_one_repository_or_for_all() -> None:
    profile = with_chains(CHAIN)
    (everything,) = json.loads(trust_policy(profile, SCOPE))["trustPolicies"]
    assert everything["registryScopes"] == ["*"]
    app = replace(SCOPE, repository=parse_repository("team/app"))
    (one,) = json.loads(trust_policy(profile, app))["trustPolicies"]
    assert one["registryScopes"] == list(app.places)


@dataclass(frozen=True)
class Called(Holder):
    """Somebody whose subject is just what `name` says."""

    @property
    def subject(self) -> x509.Name:
        return x509.Name.from_rfc4514_string(self.name)


def called(subject: str) -> tuple[bytes, ...]:
    leaf, *rest = trio()
    return chain_of(Called(subject, leaf.extensions, leaf.key), *rest)


def test_a_subject_that_is_part_of_another_stands_for_both() -> None:
    """notation refuses a policy with two identities of which one says what the other says, and less."""
    profile = with_chains(CHAIN, called("O=Example,ST=Berlin,C=DE"))
    (policy,) = json.loads(trust_policy(profile, SCOPE))["trustPolicies"]
    assert policy["trustedIdentities"] == ["x509.subject: C=DE, ST=Berlin, O=Example"]


def test_commas_in_a_name_do_not_end_it() -> None:
    (policy,) = json.loads(trust_policy(with_chains(called(r"O=Example\, Inc.,ST=Berlin,C=DE")), SCOPE))[
        "trustPolicies"
    ]
    assert policy["trustedIdentities"] == [r"x509.subject: C=DE, ST=Berlin, O=Example\, Inc."]


def test_nobody_is_told_to_trust_all_that_a_ca_certifies() -> None:
    """notation takes `*` or C, ST and O; without those there is nothing to give it."""
    chain = called("CN=images")
    assert not certified(with_chains(chain))
    assert not certified(release())
    paths = [file.path for file in rendered([with_chains(chain)], SCOPE)]
    assert not [path for path in paths if "notation" in path or "trustpolicy" in path]


def test_the_commands_are_given_where_there_are_certificates() -> None:
    assert "notation verify r.example/REPOSITORY:TAG\n" in commands(with_chains(CHAIN), SCOPE)
    assert "notation" not in commands(release(), SCOPE)
    paths = {file.path for file in rendered([with_chains(CHAIN)], SCOPE)}
    assert {"release/notation-ca.pem", "release/trustpolicy.json"} <= paths
