"""The admin API over a memory store: every action real, keys in software."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from proxy import config
from proxy.admin.dispatch import AdminApi
from proxy.admin.http_problems import problem
from proxy.admin.operation import Operation
from proxy.admin.token import AdminToken, hashed, render
from proxy.config.schema import ClientCertificate
from proxy.journal.problem import Problem, ProblemId
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.policies.in_force import Policies, RulesInForce
from proxy.policies.process import Here, Reader
from proxy.registry.request import Response
from proxy.server.doctor.checkup import DoctorFinding
from proxy.server.operations import OPERATIONS, services
from proxy.server.server_operations import Live
from proxy.server.store import Store
from proxy.tokens.token_key import UnrecordedKey
from proxy.trust.keys import fingerprint
from proxy.trust.roles import Role
from proxy.web.app import admin_app
from proxy.web.call import Call
from proxy.web.outermost import Edge, Watch
from tests.worlds.conversation import HOST, World, world
from tests.worlds.listener import Spoken, body_of, head_of, in_memory
from tests.worlds.softtokens import SoftTokens

SECRET = bytes(range(32))


@dataclass
class Reply:
    """What came back. `value` is the JSON of the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass
class Admin:
    """A proxy in memory with its admin listener and its Unix socket."""

    world: World
    api: AdminApi
    network: Spoken
    socket: Spoken
    reloads: list[str | None]
    operations: Sequence[Operation]
    services: Mapping[type, Any]
    strays: list[UnrecordedKey | Unavailable]  # what the tokens hold beside the record, or why they do not say
    policies: Policies
    tokens: SoftTokens
    found: list[Problem]  # what is wrong, as status has it

    async def token(
        self,
        *roles: Role,
        name: str = "",
        days: float = 1,
        token_id: str = "",
        only: Sequence[str] = (),
        by: str = "operator on the host",
    ) -> str:
        """Make a token known and return its text."""
        rows = self.world.store.admin_tokens.rows
        token_id = token_id or f"{len(rows):012x}"
        text, now = render(token_id, SECRET), self.world.store.clock.now()
        await self.world.store.admin_tokens.add(
            AdminToken(
                token_id,
                name or f"tester {token_id}",
                roles,
                hashed(text),
                now,
                now + timedelta(days=days),
                by,
                repositories=tuple(only),
            )
        )
        return text

    async def call(
        self, method: str, path: str, body: object = None, *, token: str = "", socket: bool = False
    ) -> Reply:
        """Make one call."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [f"Content-Length: {len(data)}"] if data or method == "POST" else []
        headers += [f"Authorization: Bearer {token}"] if token else []
        through = self.socket if socket else self.network
        reply = await through.get(path, *headers, method=method, body=data)
        line, told = head_of(reply)
        return Reply(int(line.split()[1]), told, body_of(reply))

    def active(self, profile: str = "release") -> str:
        """The fingerprint of the key that signs."""
        key = self.world.store.keybook.ring().active(profile)
        assert key is not None
        return fingerprint(key.spki)


async def nothing_else(call: Call) -> Response:
    """A listener that has only the admin API."""
    raise Fault("NAME_UNKNOWN", f"nothing at {call.path}")


POLICIES = """\
policies:
  - repositories: ["**"]
    contact: "#platform-help"
    push: {sign_with: [release]}
    pull: {require: [{signed_by: [release]}]}
"""
SETTINGS = f"""\
version: 1
server: {{public_urls: [https://{HOST}]}}
upstreams: [{{name: registry, url: http://127.0.0.1:5999}}]
tokens: {{hsm: {{module: /m.so, label: prod, pin: {{file: pin}}}}}}
keys: {{release: {{tokens: [hsm]}}}}
policies_from: FROM
{POLICIES}"""


async def policies_of(w: World, come_from: str, reader: Reader | None = None) -> Policies:
    """Put the policies above in force in this world, from the file or as the first revision."""
    settings = config.parse(SETTINGS.replace("FROM", come_from).encode(), Path("/etc/countersign/countersign.yaml"))
    rules = RulesInForce(settings.policies)
    if come_from == "api":  # else those of the world, which a test may exchange
        w.ports = replace(w.ports, rules=rules)
    made = Policies(settings, w.store.policy_book, rules, w.store.journal, w.store.clock, reader or Here())
    made.put(settings, await made.taken(settings))
    return made


@asynccontextmanager
async def admin(
    watch: Sequence[Watch] = (),
    *,
    policies_from: str = "file",
    dual: bool = False,
    people: Sequence[ClientCertificate] = (),
    reader: Reader | None = None,
) -> AsyncIterator[Admin]:
    """Run it."""
    w = await world()
    policies = await policies_of(w, policies_from, reader)
    reloads: list[str | None] = [None]

    async def reload() -> str | None:
        return reloads[-1]

    async def examine(_writable: object) -> list[DoctorFinding]:
        return []

    store = cast("Store", w.store)  # only its ports are used
    found = [Problem(ProblemId.JOURNAL, "w", "s", "n")]
    live = Live(w.store.clock.now(), policies, reload, examine, lambda: found)
    tokens = SoftTokens(w.signer)
    supplied = services(live, store, tokens, lambda: people)
    api = AdminApi(OPERATIONS, lambda: w.ports, supplied, w.store.journal, lambda: dual)
    edge = Edge(replace(Limits(), header_timeout_s=1.0), watch, refuse=problem)
    probes = admin_app(lambda: b"metrics\n", lambda: None)
    async with in_memory(api.over_network(probes), edge) as network, in_memory(api.over_socket(), edge) as socket:
        yield Admin(w, api, network, socket, reloads, OPERATIONS, supplied, tokens.astray, policies, tokens, found)
