"""Attack 34: client certificates of nobody, of others, of yesterday, of web pages, and beside a token."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.admin.certificates import known_by
from proxy.admin.dispatch import AdminApi
from proxy.admin.http_problems import problem
from proxy.cli.admin import Endpoint, call
from proxy.config.schema import ClientCertificate
from proxy.journal.event import EventKind
from proxy.oci.faults import Fault, Unavailable
from proxy.oci.limits import Limits
from proxy.trust.roles import Role
from proxy.web.outermost import Edge, outermost
from proxy.web.server import Address, Listener, Tls
from tests.worlds.admin import Admin, admin, nothing_else

NOW = datetime.now(UTC)


@dataclass
class Served:
    """An admin API behind TLS, its CA, and who it knows."""

    admin: Admin
    url: str
    ca: trustme.CA
    folder: Path
    people: list[ClientCertificate]

    def certificate(self, *names: str, ca: trustme.CA | None = None, ends: datetime | None = None) -> Path:
        """A PEM file with a client's certificate and key."""
        issued = (ca or self.ca).issue_cert(*names, not_after=ends)
        path = self.folder / f"client-{len(list(self.folder.iterdir()))}.pem"
        path.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        return path


@asynccontextmanager
async def served(folder: Path, patch: pytest.MonkeyPatch, *, dual: bool = False) -> AsyncIterator[Served]:
    ca = trustme.CA()
    own = ca.issue_cert("127.0.0.1")
    for name, blob in (("ca", ca.cert_pem), ("cert", own.cert_chain_pems[0]), ("key", own.private_key_pem)):
        blob.write_to_path(folder / f"{name}.pem")
    patch.setenv("COUNTERSIGN_CA", str(folder / "ca.pem"))
    people: list[ClientCertificate] = []
    async with admin(dual=dual, people=people) as a:
        store = a.world.store
        known = lambda cert: known_by(cert, people, NOW)  # noqa: E731
        a.api = AdminApi(a.operations, lambda: a.world.ports, a.services, store.journal, lambda: dual, known)
        listener = Listener(outermost(a.api.over_network(nothing_else), Edge(Limits(), refuse=problem)), Limits())
        tls = Tls(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
        at = await listener.listen(Address("127.0.0.1", 0), tls)
        try:
            yield Served(a, f"https://127.0.0.1:{at.port}", ca, folder, people)
        finally:
            await listener.leave(0.0, 1.0)


async def asks(
    s: Served,
    patch: pytest.MonkeyPatch,
    certificate: Path | None,
    method: str = "GET",
    path: str = "status",
    **more: str,
) -> dict[str, object]:
    """What the command line's client gets, with this certificate."""
    patch.setenv("COUNTERSIGN_CLIENT_CERT", "" if certificate is None else str(certificate))
    body = {"reason": "why"} if method == "POST" else None
    return await asyncio.to_thread(lambda: call(Endpoint(server=s.url), method, path, body))


def person(match: str, *roles: Role, name: str = "erika") -> ClientCertificate:
    return ClientCertificate(name=name, match=match, roles=roles)


async def test_who_is_in_the_configuration_has_those_roles_and_is_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as s:
        hers = s.certificate("erika@example.com")
        with pytest.raises(Fault, match="this client certificate matches nobody"):
            await asks(s, monkeypatch, hers)
        s.people.append(person("email:erika@example.com", Role.VIEWER))
        assert (await asks(s, monkeypatch, hers))["name"]
        row = s.admin.world.store.journal.events[-1]
        assert (row.kind, row.who, row.how[:12]) == (EventKind.AUDIT_READ, "erika", "client-cert:")
        with pytest.raises(Fault, match="has only the role viewer"):
            await asks(s, monkeypatch, hers, "POST", "keys/release/rotate")
        s.people[0] = person("email:erika@example.com", Role.KEY_ADMIN)
        assert (await asks(s, monkeypatch, hers, "POST", "keys/release/rotate"))["new"]
        s.people.clear()
        with pytest.raises(Fault, match="matches nobody"):
            await asks(s, monkeypatch, hers)


@pytest.mark.parametrize("now", ["known", "gone", "another role", "some repositories"])
async def test_what_somebody_asked_for_who_is_not_known_any_more_is_not_agreed_to(
    now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch, dual=True) as s:
        other = await s.admin.token(Role.KEY_ADMIN, name="max")
        s.people += [person("email:erika@example.com", Role.KEY_ADMIN), person("dns:bob", Role.KEY_ADMIN, name="bob")]
        hers = s.certificate("erika@example.com")
        with pytest.raises(Fault, match="a second person must approve it"):
            await asks(s, monkeypatch, hers, "POST", "keys/release/rotate")
        (which,), before = s.admin.world.store.approvals.rows, s.admin.active()
        if now == "gone":
            del s.people[0]
        elif now == "another role":
            s.people[0] = person("email:erika@example.com", Role.VIEWER)
        elif now == "some repositories":
            s.people[0] = s.people[0].model_copy(update={"repositories": ("team/**",)})
        path = f"/admin/v1/approvals/{which}"
        reply = await s.admin.call("POST", f"{path}/approve", {"reason": "seen"}, token=other)
        assert (reply.status, s.admin.active() == before) == ((200, False) if now == "known" else (409, True))
        if now != "known":
            assert "'erika', who requested this, may no longer request it" in reply.value["detail"]
            reply = await s.admin.call("POST", f"{path}/reject", {"reason": "she left"}, token=other)
            assert reply.value["state"] == "rejected"


async def test_others_and_nobodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch) as s:
        s.people.append(person("email:erika@example.com", *Role))
        for names in (("max@example.com",), ("erika.example.com",), ("xerika@example.com",)):
            with pytest.raises(Fault, match="matches nobody"):
                await asks(s, monkeypatch, s.certificate(*names))
        forged = s.certificate("erika@example.com", ca=trustme.CA())
        with pytest.raises(Unavailable):  # the handshake fails
            await asks(s, monkeypatch, forged)
        old = s.certificate("erika@example.com", ends=NOW - timedelta(days=1))
        with pytest.raises(Unavailable):
            await asks(s, monkeypatch, old)


async def test_a_token_beside_a_certificate_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch) as s:
        s.people.append(person("email:erika@example.com", Role.KEY_ADMIN))
        both = s.certificate("erika@example.com")
        viewer = await s.admin.token(Role.VIEWER)
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        context.load_cert_chain(both)
        for token, status in ((viewer, b"403"), (f"csadm_{'0' * 12}_{'A' * 43}", b"401"), ("x", b"401")):
            assert await raw(s, context, f"Authorization: Bearer {token}\r\n") == status
        assert await raw(s, context, "") == b"200"
        assert await raw(s, context, "Origin: https://evil.example\r\n") == b"403"


async def raw(s: Served, context: ssl.SSLContext, header: str) -> bytes:
    """The status of a rotation that is asked for with this header."""
    host, port = s.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    body = '{"reason":"x"}'
    head = f"POST /admin/v1/keys/release/rotate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    reply = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return reply.split()[1]


def test_what_a_certificate_says_is_compared_whole() -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("erika@example.com", "host.example", common_name="erika", organization_name="Acme")
    shown = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    der, subject = shown.public_bytes(Encoding.DER), shown.subject.rfc4514_string()
    for match in (f"subject:{subject}", "email:erika@example.com", "dns:host.example"):
        found = known_by(der, [person(match, Role.VIEWER)], NOW)
        assert found is not None, match
        assert found.roles == (Role.VIEWER,)
    for match in ("subject:CN=erika", "email:example.com", "dns:erika@example.com", "dns:*.example"):
        assert known_by(der, [person(match, Role.VIEWER)], NOW) is None, match
    two = [person("dns:host.example", Role.VIEWER), person("email:erika@example.com", Role.KEY_ADMIN, name="other")]
    assert known_by(der, two, NOW) is None, "it must identify one person"
    for at in (shown.not_valid_before_utc - timedelta(seconds=1), shown.not_valid_after_utc):
        assert known_by(der, [person("dns:host.example", Role.VIEWER)], at) is None
    assert known_by(b"junk", [person("dns:host.example", Role.VIEWER)], NOW) is None
