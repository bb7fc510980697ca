"""A child's reply, as the expected kind or as the error it reports."""

from typing import TypeGuard, TypeVar

from hsm import wire
from hsm.child import Child, ChildGone
from hsm.errors import (
    KeyAmbiguous,
    KeyExists,
    KeyMissing,
    MechanismMissing,
    ModuleMissing,
    PinRefused,
    TokenError,
    TokenNotFound,
    TokenUnavailable,
)
from hsm.frames import BadFrame

_T = TypeVar("_T")
_ERRORS: dict[wire.Reason, type[TokenError]] = {
    "pin-refused": PinRefused,
    "module-missing": ModuleMissing,
    "token-not-found": TokenNotFound,
    "token-busy": TokenUnavailable,
    "session-lost": TokenUnavailable,
    "mechanism-missing": MechanismMissing,
    "key-missing": KeyMissing,
    "key-ambiguous": KeyAmbiguous,
    "key-exists": KeyExists,
    "failed": TokenError,
}


def expect(reply: wire.Reply, kind: type[_T]) -> _T:
    """Return the reply as the expected kind. Raises the error it reports."""
    if isinstance(reply, wire.Failed):
        raise _ERRORS[reply.reason](reply.text)
    if not isinstance(reply, kind):
        raise TokenError(f"the token's process answered with {type(reply).__name__} instead of {kind.__name__}")
    return reply


async def told(child: Child, request: wire.Request, until: float) -> wire.Reply:
    """Return the child's reply. Raises TimeoutError, and ChildGone for a child that died or wrote anything else."""
    try:
        reply = wire.decode(await child.ask(wire.body_of(request), until, wire.FRAME_LIMIT))
    except BadFrame as error:
        raise ChildGone(f"{child} wrote garbage: {error}") from error
    if not isinstance(reply, wire.Reply):
        raise ChildGone(f"{child} answered with a request")
    return reply


def by_the_session(reply: wire.Reply, request: wire.Request) -> TypeGuard[wire.Failed]:
    """True if a new session may help: this one is lost, or does not see (any more) a key that is to sign."""
    return isinstance(reply, wire.Failed) and (
        reply.reason == "session-lost" or (reply.reason == "key-missing" and isinstance(request, wire.Sign))
    )
