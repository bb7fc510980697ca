"""The Keyless port on the `sigstore` library, which is imported when it is first needed: most never need it."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import Certificate, DuplicateExtension, ExtensionNotFound

from proxy.trust.evidence import Rejected
from proxy.trust.keyless import KeylessResult, KeylessSigner
from proxy.trust.reason import Reason

if TYPE_CHECKING:
    from sigstore.verify import Verifier

FORMAT = "sigstore-bundle"
AT_ONCE = 2  # threads: a bundle that takes long delays other keyless bundles, and nothing else
# What the library lets through for bytes that are no bundle, beside its own errors.
_BROKEN = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError, struct.error,
    InvalidSignature, UnsupportedAlgorithm, DuplicateExtension, ExtensionNotFound,
)  # fmt: skip


class SigstoreExaminer:
    """Verifies in threads of its own; whoever waits no longer than a deadline cancels what has not begun."""

    def __init__(self) -> None:
        """No thread runs yet."""
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keyless")

    async def examine(self, bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
        """Return whom of the signer's identities the bundle's certificate names, and what was signed, or why not."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, examined, bundle, signer)

    def close(self) -> None:
        """Nothing new begins; what runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def examined(bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
    """Do what `examine` says, here and now: no request is made, everything is in the bundle and the trusted root."""
    from sigstore.errors import CertValidationError, Error
    from sigstore.models import Bundle

    listed = _Listed(signer)
    try:
        payload_type, payload = _verifier(signer.trusted_root).verify_dsse(Bundle.from_json(bundle), listed)
    except CertValidationError as other:
        return Rejected(Reason.UNTRUSTED_KEY, FORMAT, _inert(f"certified by nobody whom {signer.name} trusts: {other}"))
    except (Error, *_BROKEN) as wrong:
        if listed.seen and listed.identity is None:
            return Rejected(Reason.UNTRUSTED_KEY, FORMAT, f"certified for somebody else than {signer.name} names")
        return Rejected(Reason.BAD_SIGNATURE, FORMAT, _inert(f"keyless, but it does not verify: {wrong}"))
    if listed.identity is None:
        return Rejected(Reason.BAD_SIGNATURE, FORMAT, "keyless, and nobody looked at who was certified")
    return KeylessResult(listed.identity, payload_type, payload)


def check_root(trusted_root: bytes) -> None:
    """Do nothing where the bytes are a trusted root with a CA and logs. Raises ValueError, ImportError."""
    from sigstore.errors import Error

    try:
        _verifier(trusted_root)
    except (Error, *_BROKEN) as wrong:
        raise ValueError(_inert(str(wrong))) from None


@lru_cache(maxsize=32)
def _verifier(trusted_root: bytes) -> Verifier:
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot.v1 import TrustedRoot as Content

    return Verifier(trusted_root=TrustedRoot(Content.from_json(trusted_root)))


class _Listed:
    """The library's question about a certificate: which of the signer's identities is it, from the signer's issuer?"""

    def __init__(self, signer: KeylessSigner) -> None:
        self._signer = signer
        self.seen = False
        self.identity: str | None = None

    def verify(self, cert: Certificate) -> None:
        from sigstore.errors import VerificationError
        from sigstore.verify.policy import Identity

        self.seen = True
        for identity in self._signer.identities:
            try:
                Identity(identity=identity, issuer=self._signer.issuer).verify(cert)
            except VerificationError:
                continue
            self.identity = identity
            return
        raise VerificationError("none of the identities")


def _inert(text: str) -> str:
    """Return text with other people's words in it so that it may be shown."""
    return ascii(text[:200])[1:-1]
