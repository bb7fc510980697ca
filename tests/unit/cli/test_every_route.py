"""Every route of the admin API has its command, which can be used from afar, by programs, and with a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from proxy.admin.operation import Route
from proxy.cli.app import whole
from proxy.server.operations import ROUTES

# By the route's name; several routes may have one command. A route that is not here has none that anybody thought of.
COMMANDS = {
    "status": "status",
    "reload": "reload",
    "sign": "sign",
    "list_to_sign": "sign",
    "show_list_to_sign": "sign",
    "sign_list": "sign",
    "journal": "journal",
    "verify": "verify",
    "why": "why",
    "key_images": "keys images",
    "would_block": "report would-block",
    "doctor": "doctor",
    "list_keys": "keys list",
    "list_strays": "keys list",
    "rotate_key": "keys rotate",
    "prepare_key": "keys prepare",
    "activate_key": "keys activate",
    "retire_key": "keys retire",
    "compromise_key": "keys compromise",
    "lost_key": "keys lost",
    "import_key": "keys import",
    "rebind_key": "keys rebind",
    "backup_key": "keys backup-recorded",
    "destroy_key": "keys destroy",
    "key_evidence": "keys evidence",
    "show_chain": "keys chain show",
    "set_chain": "keys chain set",
    "request_certificate": "keys csr",
    "self_sign_key": "keys self-signed",
    "resign": "keys resign",
    "policies": "policy show",
    "policy_history": "policy history",
    "policy_revision": "policy show",
    "policy_difference": "policy diff",
    "apply_policies": "policy apply",
    "revert_policies": "policy revert",
    "lint_policies": "policy lint",
    "test_policies": "policy test",
    "plan_policies_job": "policy plan",
    "list_tokens": "tokens list",
    "create_token": "tokens create",
    "revoke_token": "tokens revoke",
    "list_denials": "deny list",
    "add_denial": "deny add",
    "remove_denial": "deny remove",
    "list_exceptions": "exceptions list",
    "open_exception": "exceptions open",
    "close_exception": "exceptions close",
    "review_exception": "exceptions review",
    "list_unsigned": "exceptions unsigned",
    "list_jobs": "jobs list",
    "show_job": "jobs show",
    "cancel_job": "jobs cancel",
    "list_approvals": "approvals list",
    "show_approval": "approvals show",
    "approve": "approvals approve",
    "reject": "approvals reject",
}


def command(words: str) -> Any:
    """The command of these words. Raises KeyError where there is none."""
    found: Any = typer.main.get_command(whole())
    for word in words.split():
        found = found.commands[word]
    return found


def test_no_route_is_without_a_command() -> None:
    assert sorted(COMMANDS) == sorted(route.name for route in ROUTES)


# Commands without -o json, each with why.
TEXT_ALONE = {
    "init": "it talks a person through the first steps",
    "serve": "it prints its log, which is JSON where nobody reads it on a terminal",
    "config schema": "it is JSON",
}


def commands(above: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its words."""
    for name, each in above.commands.items():
        own = f"{words} {name}".strip()
        yield from commands(each, own) if hasattr(each, "commands") else [(own, each)]


@pytest.mark.parametrize(("words", "each"), [*commands(typer.main.get_command(whole()))], ids=lambda v: str(v)[:40])
def test_an_answer_was_text_alone(words: str, each: Any) -> None:
    options = {option for parameter in each.params for option in parameter.opts}
    assert ({"-o", "--output"} <= options) is (words not in TEXT_ALONE)
    if "--dry-run" in options:
        assert "--yes" in options
    if "--yes" in options:
        assert words in (*COMMANDS.values(), "breakglass")


# What changes nothing although it is a POST: it takes a text, or makes something for the caller alone.
READS = {"lint_policies", "test_policies", "plan_policies_job", "doctor", "request_certificate"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_an_option_was_in_one_command_and_not_in_the_next(route: Route) -> None:
    """`exceptions close` had no --yes, `jobs cancel` no --reason, `keys evidence` no -o json."""
    options = {option for parameter in command(COMMANDS[route.name]).params for option in parameter.opts}
    assert {"--server", "--token", "--config", "-c", "--output", "-o"} <= options
    if COMMANDS[route.name] == "sign":  # one command of four calls: it lists, shows, asks and signs
        assert {"--yes", "--dry-run", "--reason"} <= options
        return
    assert ("--yes" in options) is (route.method != "GET" and route.name not in READS)
    assert ("--dry-run" in options) is route.plans
    if route.name != "journal":  # there it is a filter
        assert ("--reason" in options) is (route.body is not None and "reason" in route.body.model_fields)
    assert not options & {"--json", "--note", "--force", "-y"}
