"""Token errors, as one flat family of exceptions.

A wrong signature is an exception here, not a value: no caller may continue with it.
"""


class TokenError(Exception):
    """The token, or a key on it, failed a request; the text says who, what, why and the next step."""

    retryable = False


class PinRefused(TokenError):
    """The token refused the PIN. It is not tried again: tokens lock themselves after a few wrong ones."""


class TokenNotFound(TokenError):
    """The module shows no token of that label or serial."""


class ModuleMissing(TokenNotFound):
    """The PKCS#11 module cannot be loaded: wrong path, or a missing library that it needs."""


class TokenUnavailable(TokenError):
    """The token did not answer in time, or went away. A later retry may succeed."""

    retryable = True


class QueueFull(TokenUnavailable):
    """More requests wait for the token than its queue may hold; refused at once, nothing was tried."""


class MechanismMissing(TokenError):
    """The token lists no mechanism for this algorithm."""


class KeyMissing(TokenError):
    """No usable key of that label or id is on the token."""


class KeyAmbiguous(TokenError):
    """More than one key has that label or id, so none of them is used."""


class KeyExists(TokenError):
    """The token already has a key of that label; nothing was created."""


class SignatureInvalid(TokenError):
    """The token returned a signature that the registered public key does not verify; it was discarded."""
