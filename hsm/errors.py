"""What can go wrong with a token, as one flat family of exceptions.

A wrong signature is an exception here, not a value: nobody may go on with it.
"""


class TokenError(Exception):
    """The token, or a key on it, did not do what was asked; the text says who, what, why and what to do next."""

    retryable = False


class PinRefused(TokenError):
    """The token refused the PIN. It is not tried again: tokens lock themselves after a few wrong ones."""


class TokenNotFound(TokenError):
    """The module shows no token of that label or serial."""


class ModuleMissing(TokenNotFound):
    """The PKCS#11 module cannot be loaded at all: a wrong path, or a library it needs is not there."""


class TokenUnavailable(TokenError):
    """The token did not answer in time, or went away. Asking again later may succeed."""

    retryable = True


class QueueFull(TokenUnavailable):
    """More work waits for the token than the queue may hold; refused at once, nothing was tried."""


class MechanismMissing(TokenError):
    """The token lists no mechanism that serves this algorithm."""


class KeyMissing(TokenError):
    """No usable key of that label or id is on the token."""


class KeyAmbiguous(TokenError):
    """More than one key answers to that label or id, so none of them is used."""


class KeyExists(TokenError):
    """A key of that label is on the token already; nothing was created."""


class SignatureInvalid(TokenError):
    """The token returned a signature that the registered public key does not verify. It has been thrown away."""
