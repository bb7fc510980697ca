"""The content of `/-/trust/`: files made from the key book, and their index, signed once instead of per reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.exports.index import index, signing
from proxy.exports.published import Profile, Scope, profiles_of
from proxy.exports.table import Rendered, rendered
from proxy.oci.faults import Fault, Told, Unavailable
from proxy.oci.reference import Reference, Repository
from proxy.registry.ports_in_use import Ports
from proxy.registry.single_flight import SingleFlight
from proxy.trust.keys import BookKey

AGAIN_S = 30.0  # delay after a failure: anonymous readers must not keep the token busy


@dataclass(frozen=True)
class Published:
    """The exports at one revision of the key book."""

    files: Mapping[str, Rendered]
    index: bytes


class Publisher:
    """The current exports. `attesting` maps every configured profile to whether it is for attestations."""

    def __init__(self, ports: Callable[[], Ports], attesting: Mapping[str, bool]) -> None:
        """`ports` returns the ports in force."""
        self._ports = ports
        self._attesting = attesting
        self._made: tuple[object, Published] | None = None
        self._signed: dict[str, bytes] = {}  # by fingerprint, for the index whose hash is `_of`
        self._failed: dict[str, tuple[float, str]] = {}
        self._of = ""
        self._once: SingleFlight[bytes] = SingleFlight()

    def now(self) -> Published:
        """Return the exports for all repositories; rebuilt only when keys or names have changed."""
        ports = self._ports()
        ring = ports.keybook.ring()
        state = (ring.revision, ports.hosts, ports.url)
        if self._made is None or self._made[0] != state:
            scope = Scope(ports.hosts, ports.url)
            profiles = self.profiles()
            files = rendered(profiles, scope)
            by_path = {file.path: file for file in files}
            made = Published(by_path, index(ring, profiles, files, scope))
            self._made = (state, made)
        return self._made[1]

    def profiles(self) -> tuple[Profile, ...]:
        """Return the key profiles with published keys, those for images first."""
        return profiles_of(self._ports().keybook.ring(), self._attesting)

    def signers(self) -> tuple[BookKey, ...]:
        """Return the keys that sign the index now."""
        return signing(self.profiles(), self._ports().clock.now())

    def for_image(self, path: str, repository: Repository, reference: Reference) -> Rendered | None:
        """Return the file at this path made for one repository, or None. The index does not list it."""
        ports = self._ports()
        scope = Scope(ports.hosts, ports.url, repository, reference)
        return next((file for file in rendered(self.profiles(), scope) if file.path == path), None)

    async def signature(self, of: str) -> bytes:
        """Return the index signature by the active key with this fingerprint. Raises Fault (404), Unavailable.

        The token signs these bytes once; after a failure, the error is kept for a while before the next attempt.
        """
        published = self.now()
        key = next((key for key in self.signers() if key.fingerprint == of), None)
        if key is None:
            raise Fault(
                "NAME_UNKNOWN", "no key of this fingerprint signs now; the index names those that do", status=404
            )
        digest = hashlib.sha256(published.index).hexdigest()
        if digest != self._of:
            self._of, self._signed, self._failed = digest, {}, {}
        if of in self._signed:
            return self._signed[of]
        clock = self._ports().clock
        until, why = self._failed.get(of, (0.0, ""))
        if clock.monotonic() < until:
            raise Unavailable(why, told=Told.SIGNING)
        return await self._once.do((digest, of), lambda: self._sign(digest, of, key, published.index))

    async def _sign(self, digest: str, of: str, key: BookKey, message: bytes) -> bytes:
        ports = self._ports()
        try:
            signature = await ports.signer.sign(key, message)
        except (Unavailable, Fault) as failed:
            why = failed.what if isinstance(failed, Unavailable) else failed.message
            said = f"the index is not signed with this key just now: {why}"
            if digest == self._of:
                self._failed[of] = (ports.clock.monotonic() + AGAIN_S, said)
            raise Unavailable(said, told=Told.SIGNING) from None
        if digest == self._of:
            self._signed[of] = signature
        return signature

    async def unsigned(self) -> str | None:
        """Return None if every signature of the index is available, else the text that callers are told."""
        for key in self.signers():
            try:
                await self.signature(key.fingerprint)
            except Unavailable as failed:
                return f"the index is not signed with every key just now ({failed.told})"
        return None
