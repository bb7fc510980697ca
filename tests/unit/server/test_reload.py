"""What a reload may change; what it refuses is named."""

from __future__ import annotations

import pytest

from proxy.oci.faults import ConfigError
from proxy.server.reload import only_changeable
from tests.unit.config.test_settings import SIGNING, parse


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("name: registry", "name: other", "upstreams"),
        ("keys:\n", "admin: {listen: '127.0.0.1:9'}\nlimits: {drain_s: 1}\nkeys:\n", "admin.listen, limits"),
        ("  hsm: {", "  spare: {module: /m.so, label: x, pin: {file: pin}}\n  hsm: {", "tokens"),
        ("release: {tokens: [hsm]}", "release: {tokens: [hsm], label: other}", "keys"),
        ("tokens:\n", "store: {url: 'sqlite:///other.db'}\ntokens:\n", "store.url"),
    ],
)
def test_what_only_a_restart_can_change_is_refused_by_name(old: str, new: str, named: str) -> None:
    assert old in SIGNING
    with pytest.raises(ConfigError, match=f"countersign.yaml: {named} changed; that needs a restart"):
        only_changeable(parse(SIGNING), parse(SIGNING.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("prod/**", "live/**"),
        ("label: prod", "label: prod, sessions: 7"),
        ("release: {tokens: [hsm]}", "release: {tokens: [hsm], algorithm: rsa-3072}"),
        ("registry.example", "r.example"),
    ],
)
def test_policies_names_and_how_a_token_is_reached_may_change(old: str, new: str) -> None:
    assert old in SIGNING
    only_changeable(parse(SIGNING), parse(SIGNING.replace(old, new, 1)))
