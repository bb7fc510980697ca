"""The child process: one module, one token, one session, one thread. `python -m hsm.worker`.

This module and its parts are the only importers of `pkcs11`. It reads requests from stdin, answers on the original
stdout, and ends at EOF. The PIN arrives in the first request; it is in no argument, no environment and no log.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO

import pkcs11
from pkcs11 import exceptions as ck

from hsm import wire
from hsm.certificates import make_csr, make_self_signed
from hsm.encoding import finished
from hsm.errors import MechanismMissing
from hsm.mechanisms import Scheme, Way, algorithm_named, way_to_sign
from hsm.objects import Objects, Refusal
from hsm.signing import raw_signature
from hsm.troubles import Remedy, trouble_of

_GRACE = 5.0  # seconds past a request's own limit after which this process ends itself, in case the parent is gone


class Session:
    """A logged-in session on one token, and the objects found through it so far."""

    def __init__(self, order: wire.Open) -> None:
        self._wanted = f"token {order.label or order.serial!r} of module {order.module}"
        self._library = _load(order.module, self._wanted)
        self._token = _find(self._library, order)
        self.serial = _text(self._token.serial)
        self._mechanisms = {_name(m) for m in self._token.slot.get_mechanisms()}
        self._session = _login(self._token, order.pin)
        self._objects = Objects(self._session, self._mechanisms, self._wanted)
        self._handles: dict[tuple[str, str], Any] = {}
        self._ways: dict[tuple[str, Scheme], Way] = {}

    def answer(self, request: wire.Request) -> wire.Reply:
        """Return the reply to one request. Raises Refusal or a PKCS#11 error when there is none."""
        match request:
            case wire.Sign():
                return wire.Signed(self._sign(request))
            case wire.Create():
                return wire.Keys((self._objects.create(request),), ())
            case wire.ListKeys():
                return self._objects.listed()
            case wire.Describe():
                return self._describe()
            case wire.Destroy():
                return self._destroy(request)
            case wire.Csr():
                return wire.Built(make_csr(request.spki, self._signs(request, request.label), request.subject))
            case wire.SelfSigned():
                start, end = (datetime.fromtimestamp(int(t), UTC) for t in (request.not_before, request.not_after))
                sign = self._signs(request, request.label)
                return wire.Built(make_self_signed(request.spki, sign, request.subject, start, end))
            case wire.Open():
                raise Refusal("failed", "the token is open already")

    def close(self) -> None:
        """Log out and finalize, so that a device with few sessions gets this one back."""
        with contextlib.suppress(ck.PKCS11Error):
            self._session.close()
        with contextlib.suppress(ck.PKCS11Error):
            self._library.finalize()

    def _sign(self, request: wire.Sign) -> bytes:
        wanted = (request.algorithm, request.scheme)
        way = self._ways.get(wanted)
        if way is None:
            way = way_to_sign(algorithm_named(request.algorithm), self._mechanisms, request.scheme)
            self._ways[wanted] = way
        key = self._handles.get((request.id, request.label))
        if key is None:
            key = self._handles[request.id, request.label] = self._objects.private(request.id, request.label)
        return raw_signature(key, request.message, way)

    def _signs(self, about: wire.Destroy | wire.Csr | wire.SelfSigned, label: str) -> Callable[[bytes], bytes]:
        """Return a function that makes finished signatures with that key."""
        algorithm = algorithm_named(about.algorithm)

        def sign(message: bytes) -> bytes:
            return finished(algorithm, self._sign(wire.Sign(about.id, label, about.algorithm, "pkix", message, 0)))

        return sign

    def _destroy(self, request: wire.Destroy) -> wire.Destroyed:
        if request.serial != self.serial:
            text = f"{self._wanted} has serial {self.serial}; the key is on {request.serial}; nothing was destroyed"
            raise Refusal("key-missing", text)
        try:
            return self._objects.destroy(request, lambda label, message: self._signs(request, label)(message))
        finally:
            self._handles.clear()

    def _describe(self) -> wire.Described:
        token = self._token
        firmware = ".".join(map(str, token.firmware_version))
        return wire.Described(
            token.label, self.serial, token.model.strip(), token.manufacturer_id.strip(), firmware,
            token.slot.slot_description.strip(), tuple(sorted(self._mechanisms)),
        )  # fmt: skip


def _load(module: str, wanted: str) -> Any:
    try:
        return pkcs11.lib(module)
    except ck.GeneralError as error:
        raise Refusal("token-busy", f"{wanted}: it did not initialize: {error!r}{_where(module)}") from None
    except (ck.PKCS11Error, RuntimeError) as error:
        raise Refusal("module-missing", f"module {module} cannot be loaded: {error!r}") from None


def _where(module: str) -> str:
    """Return where SoftHSM looks for tokens, if nothing tells it: the first thing to check when it shows none."""
    if "softhsm" not in module or "SOFTHSM2_CONF" in os.environ:
        return ""
    return "; SOFTHSM2_CONF is not set for it (tokens.NAME.environment), so it looked in SoftHSM's own directory"


def _find(library: Any, order: wire.Open) -> Any:
    seen, found = [], []
    for slot in library.get_slots(token_present=True):
        try:
            token = slot.get_token()
        except (ck.TokenNotPresent, ck.TokenNotRecognised):
            continue
        if not token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED:
            continue
        seen.append(f"{token.label!r} (serial {_text(token.serial)})")
        if order.label in (None, token.label) and order.serial in (None, _text(token.serial)):
            found.append(token)
    if len(found) == 1:
        return found[0]
    wanted = " and ".join(f"{k} {v!r}" for k, v in (("label", order.label), ("serial", order.serial)) if v is not None)
    text = f"module {order.module} shows {len(found)} tokens of {wanted}; it shows {', '.join(seen) or 'none'}"
    text += _where(order.module)
    raise Refusal("token-not-found", text)


def _login(token: Any, pin: str) -> Any:
    try:
        return token.open(rw=True, user_pin=pin)
    except (ck.TokenWriteProtected, ck.SessionReadOnly):
        return token.open(rw=False, user_pin=pin)  # refused before the token checked the PIN


def _text(serial: bytes) -> str:
    return serial.decode("ascii", "replace").strip(" \0")


def _name(mechanism: Any) -> str:
    return str(getattr(mechanism, "name", None) or f"0x{int(mechanism):08x}")


def _reply(session: Session, request: wire.Request) -> wire.Reply:
    try:
        return session.answer(request)
    except Refusal as refusal:
        return refusal.failed
    except MechanismMissing as error:
        return wire.Failed("mechanism-missing", str(error))
    except ck.PKCS11Error as error:
        trouble = trouble_of(type(error))
        if trouble.remedy in (Remedy.REPLACE, Remedy.AGAIN_LATER):
            return wire.Failed("session-lost", f"the token ended the session ({trouble.means}): {error!r}")
        text = f"{type(request).__name__} failed on the token ({trouble.means}): {error!r}"
        return wire.Failed("pin-refused" if trouble.remedy is Remedy.NEVER else "failed", text)
    except ValueError as error:
        return wire.Failed("failed", f"{type(request).__name__} failed on the token: {error!r}")


def _opened(order: wire.Request) -> Session | wire.Failed:
    if not isinstance(order, wire.Open):
        return wire.Failed("failed", "the first request must open the token")
    try:
        return Session(order)
    except Refusal as refusal:
        return refusal.failed
    except ck.PKCS11Error as error:
        if trouble_of(type(error)).remedy is Remedy.NEVER:
            return wire.Failed("pin-refused", f"token {order.label or order.serial!r} refused the PIN: {error!r}")
        return wire.Failed("token-busy", f"token {order.label or order.serial!r} did not open: {error!r}")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every request from `source` on `sink`, then close the session."""
    session: Session | None = None
    for request in wire.requests(source):
        # The default action of SIGALRM ends the process even inside a C call that hangs.
        signal.setitimer(signal.ITIMER_REAL, request.seconds + _GRACE)
        if session is not None:
            sink.write(wire.encode(_reply(session, request)))
        else:
            opened = _opened(request)
            if isinstance(opened, wire.Failed):
                sink.write(wire.encode(opened))
                return
            session = opened
            sink.write(wire.encode(wire.Opened(session.serial)))
        signal.setitimer(signal.ITIMER_REAL, 0)
    if session is not None:
        session.close()


def main() -> None:
    """Serve until the parent closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when this process ends
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the PIN
    answers = os.dup(1)
    os.dup2(2, 1)  # modules that print must not print into the answers
    with os.fdopen(answers, "wb", buffering=0) as sink, contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
