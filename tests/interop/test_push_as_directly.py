"""A layer that is larger than any buffer arrives as it was sent; the rest is in tests/interop/differential."""

from __future__ import annotations

import hashlib

from deploy.layouts import digest_of
from tests.interop.handmade import Handmade
from tests.interop.shared import Here
from tests.interop.wire import ask


def test_a_large_layer_is_not_changed(anywhere: Here) -> None:
    here = anywhere
    data = hashlib.sha256(b"seed").digest() * 500_000  # 16 MB
    digest = Handmade(here.proxy.host, here.repository).blob(data, "x/y")["digest"]
    stored = ask(here.proxy.upstream.host, "GET", f"/v2/{here.repository}/blobs/{digest}")
    assert digest_of(stored.body) == digest_of(data)
