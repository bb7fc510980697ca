from __future__ import annotations

import pytest

from proxy.oci.faults import Fault
from proxy.oci.image_name import parse_name
from proxy.oci.operation import PullManifest
from proxy.oci.reference import parse_reference, parse_repository

HOSTS = ("registry.example", "localhost:5000")
DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "repository", "reference"),
    [
        ("team/app", "team/app", "latest"),
        ("team/app:v1", "team/app", "v1"),
        (f"team/app@{DIGEST}", "team/app", DIGEST),
        (f"team/app:v1@{DIGEST}", "team/app", DIGEST),
        ("registry.example/team/app:v1", "team/app", "v1"),
        ("localhost:5000/app", "app", "latest"),
        (f"localhost:5000/app:v1@{DIGEST}", "app", DIGEST),
    ],
)
def test_names_as_people_write_them(text: str, repository: str, reference: str) -> None:
    assert parse_name(text, HOSTS) == PullManifest(parse_repository(repository), parse_reference(reference))


@pytest.mark.parametrize("text", ["", ":", "@", "APP", "other.example:5000/app", f"app@{DIGEST}0", "app:", "a b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        parse_name(text, HOSTS)
