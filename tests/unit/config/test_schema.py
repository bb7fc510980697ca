"""Rules of the schema that hold between settings; each kind of value is tested in test_values.py."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from proxy.config.schema import ClauseEntry, ConfigFile, KeyEntry, PolicyEntry, Server
from tests.unit.config.test_settings import MINIMAL, SIGNING, parse, problems


def models() -> list[type[BaseModel]]:
    found = [
        kind
        for kind in vars(sys.modules[ConfigFile.__module__]).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
    return [kind for kind in found if kind is not BaseModel]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_nothing_is_read_that_is_not_known_converted_or_changed_later(model: type[BaseModel]) -> None:
    assert (model.model_config["extra"], model.model_config["strict"]) == ("forbid", True)
    assert model.model_config["frozen"] is True


def test_a_server_has_one_name_for_each_host_and_the_first_url_is_its_own() -> None:
    server = Server(public_urls=("https://r.example", "http://r.example:5000", "http://r.example"))
    assert server.url == "https://r.example"
    assert server.hosts == ("r.example", "r.example:5000")


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (Server, {"public_urls": ()}, "at least 1"),
        (KeyEntry, {"tokens": ()}, "at least 1"),
        (ClauseEntry, {"signed_by": ()}, "at least 1"),
        (ClauseEntry, {"signed_by": ("release",), "at_least": 0}, "greater than or equal to 1"),
        (PolicyEntry, {"repositories": ()}, "at least 1"),
    ],
)
def test_an_empty_list_where_it_would_mean_anything_at_all(
    model: type[BaseModel], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        model(**given)


def test_slot_numbers_select_no_token() -> None:
    (said,) = problems(SIGNING.replace("label: prod, ", ""))
    assert "label or serial (slot numbers change" in said
    assert parse(SIGNING.replace("label: prod", "serial: '0001'")).tokens["hsm"].serial == "0001"


@pytest.mark.parametrize("secret", ["{file: a, env: B}", "{}", "{env: A, credential: b}"])
def test_a_pin_is_in_exactly_one_place(secret: str) -> None:
    (said,) = problems(SIGNING.replace("{file: pin}", secret))
    assert "exactly one of: file, env, credential" in said


def test_what_is_left_out_is_the_strict_choice() -> None:
    policy = PolicyEntry(repositories=("**",))
    assert (policy.pull.mode, policy.pull.blobs, policy.pull.head_on_denied) == ("enforce", "strict", "deny")
    assert (policy.pull.require, policy.pull.reviewers, policy.push.sign_with) == ((), (), ())
    assert parse(MINIMAL).server.tls is None
