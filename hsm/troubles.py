"""Every error that a PKCS#11 call can return: its meaning and its remedy. One table, pure.

The names are those of `pkcs11.exceptions` (PKCS#11 2.40, 11.1). Any other error, including a vendor's own code, is
treated as `PKCS11Error`: the state of the session after it is unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Remedy(Enum):
    """The remedy. In every case the key counts as failed until it has signed again."""

    KEEP = "the session goes on: the request was at fault, or the key is"
    REPLACE = "the process ends, another one opens the token again and repeats the request once"
    AGAIN_LATER = "the process ends, and another one opens the token after a pause; the fault is temporary"
    NEVER = "the PIN is not offered again until its source changes"


@dataclass(frozen=True)
class Trouble:
    """The meaning of an error, for people, and its remedy."""

    means: str
    remedy: Remedy


def _rows(remedy: Remedy, means: str, names: str) -> Iterable[tuple[str, Trouble]]:
    return ((name, Trouble(means, remedy)) for name in names.split())


TROUBLES: Mapping[str, Trouble] = dict(
    [
        # the PIN
        *_rows(Remedy.NEVER, "the PIN is wrong", "PinIncorrect PinInvalid PinLenRange PinTooWeak"),
        *_rows(Remedy.NEVER, "the PIN is locked, has expired or was never set", "PinLocked PinExpired"),
        *_rows(Remedy.NEVER, "the token has no user PIN", "UserPinNotInitialized"),
        # the session, the token or the module has gone
        *_rows(Remedy.REPLACE, "the session has ended", "SessionHandleInvalid SessionClosed UserNotLoggedIn"),
        *_rows(Remedy.REPLACE, "the object behind a handle has gone", "KeyHandleInvalid ObjectHandleInvalid"),
        *_rows(Remedy.REPLACE, "the token has gone or is another one", "DeviceRemoved TokenNotPresent"),
        *_rows(Remedy.REPLACE, "the token is not recognised", "TokenNotRecognised SlotIDInvalid"),
        *_rows(Remedy.REPLACE, "the device or the module has failed", "DeviceError GeneralError FunctionFailed"),
        *_rows(Remedy.REPLACE, "memory has run out", "HostMemory DeviceMemory"),
        *_rows(Remedy.REPLACE, "an operation was left open", "OperationActive OperationNotInitialized"),
        *_rows(Remedy.REPLACE, "a call was ended by the module", "FunctionCancelled NoEvent"),
        *_rows(Remedy.REPLACE, "the session cannot be used for this", "SessionReadOnly SessionExists"),
        *_rows(Remedy.REPLACE, "an error that PKCS#11 does not name", "PKCS11Error"),
        # no session is available now
        *_rows(Remedy.AGAIN_LATER, "the token has no session left", "SessionCount UserTooManyTypes"),
        *_rows(Remedy.AGAIN_LATER, "somebody else is logged in", "UserAlreadyLoggedIn AnotherUserAlreadyLoggedIn"),
        *_rows(Remedy.AGAIN_LATER, "an officer's session is open", "SessionReadOnlyExists SessionReadWriteSOExists"),
        *_rows(Remedy.AGAIN_LATER, "the module shows no such token", "NoSuchToken MultipleTokensReturned"),
        # the request, or the key
        *_rows(Remedy.KEEP, "the call or its data is not valid", "ArgumentsBad DataInvalid DataLenRange"),
        *_rows(Remedy.KEEP, "the token refuses the operation", "FunctionRejected FunctionNotSupported"),
        *_rows(Remedy.KEEP, "the token may not be written", "TokenWriteProtected"),
        *_rows(Remedy.KEEP, "the mechanism is not for this key", "MechanismInvalid MechanismParamInvalid"),
        *_rows(Remedy.KEEP, "the key cannot do this", "KeySizeRange KeyTypeInconsistent KeyIndigestible KeyNeeded"),
        *_rows(Remedy.KEEP, "the key cannot do this", "KeyNotNeeded KeyNotWrappable KeyUnextractable"),
        *_rows(Remedy.KEEP, "no key matches, or several do", "NoSuchKey MultipleObjectsReturned"),
        *_rows(Remedy.KEEP, "an attribute is not accepted", "AttributeReadOnly AttributeSensitive"),
        *_rows(Remedy.KEEP, "an attribute is not accepted", "AttributeTypeInvalid AttributeValueInvalid"),
        *_rows(Remedy.KEEP, "the template is not accepted", "TemplateIncomplete TemplateInconsistent"),
        *_rows(Remedy.KEEP, "the key's parameters are not accepted", "DomainParamsInvalid PublicKeyInvalid"),
        *_rows(Remedy.KEEP, "the token makes no random numbers", "RandomNoRNG RandomSeedNotSupported"),
        *_rows(Remedy.KEEP, "the token gave up generating it", "ExceededMaxIterations"),
        *_rows(Remedy.KEEP, "the signature to verify is wrong", "SignatureInvalid SignatureLenRange"),
        *_rows(Remedy.KEEP, "the encrypted data is not valid", "EncryptedDataInvalid EncryptedDataLenRange"),
        *_rows(Remedy.KEEP, "a wrapped key is not valid", "WrappedKeyInvalid WrappedKeyLenRange"),
        *_rows(Remedy.KEEP, "a wrapping key is not valid", "WrappingKeyHandleInvalid WrappingKeySizeRange"),
        *_rows(Remedy.KEEP, "a wrapping key is not valid", "WrappingKeyTypeInconsistent"),
        *_rows(Remedy.KEEP, "a wrapping key is not valid", "UnwrappingKeyHandleInvalid UnwrappingKeySizeRange"),
        *_rows(Remedy.KEEP, "a wrapping key is not valid", "UnwrappingKeyTypeInconsistent"),
    ]
)


def trouble_of(error: type[BaseException]) -> Trouble:
    """Return the row of this error, or of its nearest base class in the table."""
    return next(
        (TROUBLES[kind.__name__] for kind in error.__mro__ if kind.__name__ in TROUBLES), TROUBLES["PKCS11Error"]
    )
