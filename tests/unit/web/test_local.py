"""Commands over the Unix socket: each gets its arguments as text and answers JSON."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.oci.faults import Fault
from proxy.web.local import Arguments, Commands, local_app, routes
from tests.worlds.listener import body_of, in_memory


class Desk:
    def __init__(self) -> None:
        self.ran: list[tuple[str, dict[str, str]]] = []

    def commands(self) -> Commands:
        names = ("verify", "why", "sign", "status", "would_block", "reload")
        return Commands(**{name: self._command(name) for name in names})

    def _command(self, name: str) -> Any:
        async def run(arguments: Arguments) -> Mapping[str, Any]:
            self.ran.append((name, dict(arguments)))
            if name == "reload":
                raise Fault("UNSUPPORTED", "countersign.yaml:3:1: broken", status=400)
            return {"ran": name}

        return run


def sent(body: object) -> tuple[str, bytes]:
    data = json.dumps(body).encode()
    return f"Content-Length: {len(data)}", data


@pytest.mark.parametrize(
    ("method", "path", "body", "ran"),
    [
        ("POST", "/v1/verify", {"ref": "app:v1", "more": 1}, ("verify", {"ref": "app:v1"})),
        ("GET", "/v1/why?q=app%3Av1", None, ("why", {"q": "app:v1"})),
        ("POST", "/v1/sign", {"ref": "a", "reason": "b"}, ("sign", {"ref": "a", "reason": "b"})),
        ("GET", "/v1/status", None, ("status", {})),
        ("GET", "/v1/report/would-block?since=7d", None, ("would_block", {"since": "7d"})),
        ("GET", "/v1/report/would-block", None, ("would_block", {})),
    ],
)
async def test_a_command_runs_with_its_arguments(
    method: str, path: str, body: object, ran: tuple[str, dict[str, str]]
) -> None:
    desk = Desk()
    async with in_memory(local_app(desk.commands())) as local:
        header, data = sent(body) if body is not None else ("X: y", b"")
        reply = await local.get(path, header, method=method, body=data)
    assert desk.ran == [ran]
    assert json.loads(body_of(reply)) == {"ran": ran[0]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/verify", {}, 400),
        ("POST", "/v1/verify", {"ref": 1}, 400),
        ("POST", "/v1/verify", ["ref"], 400),
        ("POST", "/v1/sign", {"ref": "a"}, 400),
        ("POST", "/v1/why", {"q": "a"}, 405),
        ("POST", "/v1/other", {}, 404),
        ("POST", "/v1/verify", {"ref": {"a": {"b": {"c": {"d": 1}}}}}, 400),
        ("POST", "/v1/verify", {"ref": "x" * 70_000}, 413),
    ],
)
async def test_a_command_that_is_none_runs_nothing(method: str, path: str, body: object, status: int) -> None:
    desk = Desk()
    async with in_memory(local_app(desk.commands())) as local:
        header, data = sent(body)
        reply = await local.get(path, header, method=method, body=data)
    assert reply.split()[1] == str(status).encode()
    assert desk.ran == []


async def test_what_went_wrong_is_said() -> None:
    async with in_memory(local_app(Desk().commands())) as local:
        reply = await local.get("/v1/reload", method="POST")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"countersign.yaml:3:1: broken" in reply


def test_every_command_has_one_route() -> None:
    table = routes(Desk().commands())
    assert len({(route.method, route.path) for route in table}) == len(table) == 6
