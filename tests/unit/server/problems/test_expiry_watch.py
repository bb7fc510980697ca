from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from proxy.admin.token import AdminToken
from proxy.config.settings import parse
from proxy.journal.problem import ProblemId
from proxy.oci.faults import Unavailable
from proxy.server.problems.expiry import Expiry, ExpiryKind
from proxy.server.problems.expiry_watch import (
    ExpiryWatch,
    _certificates,
    of_authorities,
    of_files,
    of_keys,
    of_lists,
    of_tokens,
    of_upstream,
)
from proxy.trust.authority import Authority
from proxy.trust.keys import KeyState
from proxy.trust.roles import Role
from tests.worlds.certificates import BEGIN, END, chain_of, pem, trio
from tests.worlds.memory import NOON, FrozenClock, SoftSigner

DAY = timedelta(days=1)
HOLDERS = trio()
CHAIN = chain_of(*HOLDERS)


class Scene:
    """What ends, as the test says, and what is said of it."""

    def __init__(self, *known: Expiry) -> None:
        self.clock = FrozenClock()
        self.known = list(known)
        self.endings = ExpiryWatch(self._collect, self.clock.now, structlog.get_logger())

    async def _collect(self) -> list[Expiry]:
        return self.known

    async def logged(self, days: float = 0) -> list[str]:
        self.clock.advance(days * 86400)
        with capture_logs() as rows:
            await self.endings.look()
        return [f"{row['log_level']}: {row['what']}" for row in rows]


async def test_each_threshold_is_logged_once_and_the_end_as_an_error() -> None:
    scene = Scene(Expiry(ExpiryKind.CHAIN, "release", NOON + 61 * DAY, "renew it"))
    assert await scene.logged() == []
    assert await scene.logged(1) == ["warning: key chain release ends in 60 days, at 2026-03-04 12:00 UTC"]
    assert await scene.logged(1) == []
    assert [line[:46] for line in await scene.logged(29)] == ["warning: key chain release ends in 30 days, at"]
    assert len(await scene.logged(23)) == 1
    assert await scene.logged(1) == []
    assert [line[:30] for line in await scene.logged(7)] == ["error: key chain release ended"]
    assert await scene.logged(1) == []


async def test_a_renewed_one_is_spoken_of_anew() -> None:
    old = Expiry(ExpiryKind.CHAIN, "release", NOON + 5 * DAY, "renew it")
    scene = Scene(old)
    assert len(await scene.logged()) == 1
    scene.known = [replace(old, at=NOON + 400 * DAY)]
    assert await scene.logged() == []
    assert scene.endings.warnings() == []


async def test_what_is_due_is_a_warning_and_what_is_over_stops_something() -> None:
    soon, over = (
        Expiry(ExpiryKind.SERVER_TLS, "https://r", NOON + DAY, "renew"),
        Expiry(ExpiryKind.CHAIN, "old", NOON - DAY, "now"),
    )
    token, crl = replace(over, kind=ExpiryKind.ADMIN_TOKEN), replace(over, kind=ExpiryKind.CRL)
    scene = Scene(soon, over, token, crl)
    await scene.logged()
    assert scene.endings.warnings() == [
        {"what": "server certificate https://r ends in 1 day, at 2026-01-03 12:00 UTC", "next": "renew",
         "at": "2026-01-03T12:00:00+00:00"}
    ]  # fmt: skip
    (problem,) = scene.endings.problems()
    assert problem.what.startswith("key chain old ended at")
    assert problem.id is ProblemId.ENDED
    assert scene.endings.days() == {
        "server certificate": 1.0, "key chain": -1.0, "admin token": -1.0, "revocation list": -1.0
    }  # fmt: skip


async def test_nothing_is_known_before_the_first_look() -> None:
    scene = Scene(Expiry(ExpiryKind.CHAIN, "release", NOON, "renew it"))
    assert (scene.endings.warnings(), scene.endings.problems(), scene.endings.days()) == ([], [], {})


@pytest.mark.parametrize(
    ("state", "counts"), [(KeyState.PREPARED, True), (KeyState.TRUSTED, True), (KeyState.RETIRED, False)]
)
def test_the_chain_of_a_key_that_counts_ends_with_its_first_certificate(state: KeyState, counts: bool) -> None:
    key = SoftSigner().create(state=state)
    assert list(of_keys([key])) == []
    ends = list(of_keys([replace(key, chain=CHAIN)]))
    assert [(e.kind, e.begun, e.at) for e in ends] == ([(ExpiryKind.CHAIN, BEGIN, END)] if counts else [])


def test_of_an_authority_the_certificate_that_ends_first_counts() -> None:
    ca = Authority("ca", frozenset(CHAIN), (), tsa_roots=frozenset(CHAIN[2:]))
    assert [(e.kind, e.name, e.at) for e in of_authorities([ca])] == [
        (ExpiryKind.AUTHORITY, "ca", END), (ExpiryKind.TSA, "ca", HOLDERS[2].last)
    ]  # fmt: skip


def test_tokens_that_are_valid_end_and_others_did() -> None:
    made = AdminToken("1" * 12, "ci", (Role.VIEWER,), "", NOON - 90 * DAY, NOON + DAY, "erika")
    others = [replace(made, expires=NOON), replace(made, revoked=NOON)]
    assert [(e.name, e.at, e.begun) for e in of_tokens([made, *others], NOON)] == [
        ("ci (111111111111)", NOON + DAY, NOON - 90 * DAY)
    ]


def test_a_list_made_for_a_week_is_no_news_in_it() -> None:
    (week,) = of_lists({"ca.crl": (NOON - DAY, NOON + 6 * DAY)})
    (year,) = of_lists({"ca.crl": (NOON - 360 * DAY, NOON + 6 * DAY)})
    assert (week.threshold(NOON), year.threshold(NOON)) == (None, 7)


def test_every_file_with_certificates_is_looked_at(tmp_path: Path) -> None:
    for name in ("server.pem", "admin.pem", "clients.pem", "upstream.pem", "client.pem"):
        (tmp_path / name).write_text(pem(CHAIN[:1]))
    text = f"""
version: 1
server: {{public_urls: ["http://r"], tls: {{cert: server.pem, key: server.pem}}}}
admin: {{tls: {{cert: admin.pem, key: admin.pem}}, client_ca: clients.pem}}
upstreams: [{{name: up, url: "https://up", ca_file: upstream.pem, client_cert: client.pem}}]
timestamps: {{url: "http://tsa/", ca_file: {json.dumps(pem(CHAIN[2:]))}}}
"""
    ends = {(e.kind, e.at) for e in of_files(parse(text.encode(), tmp_path / "countersign.yaml"))}
    five = (
        ExpiryKind.SERVER_TLS,
        ExpiryKind.ADMIN_TLS,
        ExpiryKind.ADMIN_CA,
        ExpiryKind.UPSTREAM_CA,
        ExpiryKind.CLIENT_CERT,
    )
    assert ends == {*((kind, END) for kind in five), (ExpiryKind.TSA, HOLDERS[2].last)}


async def test_an_upstream_that_does_not_answer_has_a_place_of_its_own(tmp_path: Path) -> None:
    text = b'version: 1\nserver: {public_urls: ["http://r"]}\nupstreams: [{name: up, url: "https://up"}]\n'
    settings = parse(text, tmp_path / "countersign.yaml")

    async def shown() -> bytes | None:
        return CHAIN[0]

    async def away() -> bytes | None:
        raise Unavailable("upstream is away")

    assert [(e.kind, e.name, e.at) for e in await of_upstream(settings, shown)] == [
        (ExpiryKind.UPSTREAM_TLS, "https://up", END)
    ]
    assert await of_upstream(settings, away) == []


def test_certificates_are_found_in_a_file_with_a_key_beside_them(tmp_path: Path) -> None:
    file = tmp_path / "client.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n" + pem(CHAIN) + "# the end\n")
    assert _certificates(file) == CHAIN
    file.write_text("-----BEGIN CERTIFICATE-----\njunk")
    assert _certificates(file) == ()
    assert _certificates(tmp_path / "none") == ()
