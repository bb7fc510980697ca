"""The Keyless port on the `sigstore` library, imported at first use because most servers never need it."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import Certificate, DuplicateExtension, ExtensionNotFound

from proxy.trust.authority import KeylessResult, KeylessSigner
from proxy.trust.evidence import Rejected
from proxy.trust.reason import Reason

if TYPE_CHECKING:
    from sigstore.verify import Verifier

FORMAT = "sigstore-bundle"
AT_ONCE = 2  # threads: a slow bundle delays other keyless bundles only
# Exceptions the library raises for invalid bundles, in addition to its own errors.
_BROKEN = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError, struct.error,
    InvalidSignature, UnsupportedAlgorithm, DuplicateExtension, ExtensionNotFound,
)  # fmt: skip


class SigstoreExaminer:
    """Verifies in its own threads; a caller's deadline cancels verifications that have not begun."""

    def __init__(self) -> None:
        """No thread runs yet."""
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keyless")

    async def examine(self, bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
        """Return the signer's identity in the bundle's certificate and the signed content, or why it is rejected."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, examined, bundle, signer)

    def close(self) -> None:
        """Stop: queued work is cancelled, running work is not awaited."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def examined(bundle: bytes, signer: KeylessSigner) -> KeylessResult | Rejected:
    """Return the result of `examine`, synchronously and offline: bundle and trusted root contain everything needed."""
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
    """Check that the bytes are a trusted root with a CA and logs. Raises ValueError, ImportError."""
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
    """The library's policy for a certificate: it must have an identity and the issuer of the signer."""

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
    """Return text that may contain foreign input, made safe to show."""
    return ascii(text[:200])[1:-1]
