"""Actions of the routes about certificates for our keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.admin.dispatch import Acting, Topic
from proxy.admin.shapes import Why
from proxy.formats.certificate import from_pem, parse_certificate
from proxy.keys import certificates as certify
from proxy.keys import chain_routes as shapes
from proxy.keys.lifecycle import find
from proxy.oci.faults import Fault
from proxy.registry.ports_in_use import Ports
from proxy.trust.actor import Actor
from proxy.trust.keys import BookKey, fingerprint


class ChainDesk:
    """One method per route; each raises Fault or Unavailable with a message for the caller."""

    def __init__(self, ports: Callable[[], Ports]) -> None:
        """`ports` returns the current ports."""
        self._ports = ports

    def topic(self) -> Topic:
        """Return the action of every route, by name."""
        return Topic(
            {
                "show_chain": self._show,
                "set_chain": self._set,
                "request_certificate": self._request,
                "self_sign_key": self._self_sign,
            },
            {"set_chain": self._plan_set, "self_sign_key": self._plan_self_sign},
        )

    async def _show(self, acting: Acting) -> shapes.ChainShown:
        return shown(find(_key(acting), self._ports()))

    async def _set(self, acting: Acting) -> shapes.ChainShown:
        key = await certify.set_chain(_key(acting), _chain(acting), _actor(acting), self._ports())
        return shown(key)

    async def _plan_set(self, acting: Acting) -> tuple[str, ...]:
        planned = certify.plan(_key(acting), _chain(acting), self._ports())
        return (_gives(planned.key, planned.chain), *planned.notes)

    async def _request(self, acting: Acting) -> shapes.CsrMade:
        ports, wish = self._ports(), cast("shapes.CsrRequest", acting.body)
        der = await certify.request_certificate(_key(acting), wish.subject, ports)
        pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()
        return shapes.CsrMade(fingerprint=fingerprint(find(_key(acting), ports).spki), csr=pem)

    async def _self_sign(self, acting: Acting) -> shapes.ChainShown:
        ports, wish = self._ports(), cast("shapes.SelfSignedRequest", acting.body)
        subject = wish.subject or _default(certify.may_have_chain(_key(acting), ports), ports)
        return shown(await certify.self_sign(_key(acting), subject, wish.days, _actor(acting), ports))

    async def _plan_self_sign(self, acting: Acting) -> tuple[str, ...]:
        ports, wish = self._ports(), cast("shapes.SelfSignedRequest", acting.body)
        key = certify.may_have_chain(_key(acting), ports)
        ends, subject = ports.clock.now() + timedelta(days=wish.days), wish.subject or _default(key, ports)
        return (
            f"sign a certificate of {_named(key)} with the key itself, as {subject}, until {ends:%Y-%m-%d}",
            "nobody vouches for it, so it is for development alone: a CA's chain takes its place later",
            *(("the chain it has now is gone then",) if key.chain else ()),
        )


def _key(acting: Acting) -> str:
    return acting.path_params["fingerprint"]


def _actor(acting: Acting) -> Actor:
    return Actor(acting.holder.who, acting.holder.how, cast("Why", acting.body).reason, acting.request_id)


def _chain(acting: Acting) -> tuple[bytes, ...]:
    wish = cast("shapes.NewChain", acting.body)
    try:
        return from_pem(wish.chain.encode())
    except ValueError as error:
        raise Fault("UNSUPPORTED", f"chain: {error}", status=400) from None


def _default(key: BookKey, ports: Ports) -> str:
    """Return a default subject with the country, state and organisation that Notary requires; XX is no country."""
    return f"CN={key.profile},O={ports.name} development,ST=none,C=XX"


def _gives(key: BookKey, chain: Sequence[bytes]) -> str:
    count = f"{len(chain)} certificate{'s'[: len(chain) != 1]}"
    return f"{'replace the chain of' if key.chain else 'give'} {_named(key)}{':' if key.chain else ''} {count}"


def _named(key: BookKey) -> str:
    return f"key {fingerprint(key.spki)[:12]} of {key.profile}"


def shown(key: BookKey) -> shapes.ChainShown:
    """Return the key's chain in the form of the admin API."""
    certificates = [parse_certificate(one) for one in key.chain]
    return shapes.ChainShown(
        fingerprint=fingerprint(key.spki),
        profile=key.profile,
        self_signed=len(certificates) == 1,
        certificates=tuple(_certificate(one) for one in certificates),
        chain="".join(one.public_bytes(Encoding.PEM).decode() for one in certificates),
    )


def _certificate(one: x509.Certificate) -> shapes.CertificateShown:
    return shapes.CertificateShown(
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        serial=f"{one.serial_number:x}",
        thumbprint=fingerprint(one.public_bytes(Encoding.DER)),
        first=one.not_valid_before_utc,
        last=one.not_valid_after_utc,
    )
