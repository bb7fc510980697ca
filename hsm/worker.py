"""The child process: one module, one token, one session, one thread. `python -m hsm.worker`.

With what it is split into it is the only importer of `pkcs11`. It reads requests from stdin, answers on what was
stdout, and ends at EOF. The PIN arrives in the first request; it is in no argument, no environment and no log.
"""

import contextlib
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as ck

from hsm import wire
from hsm.errors import MechanismMissing
from hsm.mechanisms import Algorithm, Scheme, Way, algorithm_named, algorithm_with, way_to_sign
from hsm.signing import raw_signature

_PIN = (ck.PinIncorrect, ck.PinLocked, ck.PinInvalid, ck.PinLenRange, ck.PinExpired, ck.UserPinNotInitialized)
# A new process is the cure for all of these; after the last row some modules want to be initialized again.
_LOST = (
    ck.SessionHandleInvalid, ck.SessionClosed, ck.UserNotLoggedIn, ck.KeyHandleInvalid, ck.ObjectHandleInvalid,
    ck.DeviceRemoved, ck.DeviceError, ck.TokenNotPresent, ck.TokenNotRecognised,
    ck.GeneralError, ck.FunctionFailed, ck.OperationActive,
)  # fmt: skip
_TEMPLATE_REFUSED = (ck.AttributeTypeInvalid, ck.AttributeValueInvalid, ck.AttributeReadOnly, ck.TemplateInconsistent)
_SHOWN = ("SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "PRIVATE", "SIGN", "DECRYPT",
          "UNWRAP", "DERIVE", "MODIFIABLE", "COPYABLE")  # fmt: skip
_GRACE = 5.0  # seconds past a request's own limit after which this process ends itself, should the parent be gone


class Refusal(Exception):
    """A request that cannot be served, in the terms of the wire."""

    def __init__(self, reason: wire.Reason, text: str) -> None:
        super().__init__(text)
        self.failed = wire.Failed(reason, text)


class Session:
    """A logged-in session on one token, and what has been found through it so far."""

    def __init__(self, order: wire.Open) -> None:
        self._wanted = f"token {order.label or order.serial!r} of module {order.module}"
        self._library = _load(order.module)
        self._token = _find(self._library, order)
        self.serial = _text(self._token.serial)
        self._mechanisms = {_name(m) for m in self._token.slot.get_mechanisms()}
        self._session = _login(self._token, order.pin)
        self._handles: dict[tuple[str, str], Any] = {}
        self._ways: dict[tuple[str, Scheme], Way] = {}

    def answer(self, request: wire.Request) -> wire.Reply:
        """The reply to one request; `Refusal` or a PKCS#11 error when there is none."""
        match request:
            case wire.Sign():
                return wire.Signed(self._sign(request))
            case wire.Create():
                return wire.Keys((self._create(request),), ())
            case wire.ListKeys():
                return self._list()
            case wire.Describe():
                return self._describe()
            case wire.Open():
                raise Refusal("failed", "the token is open already")

    def close(self) -> None:
        """Logged out and finalized, so that a device with few sessions gets this one back."""
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
            key = self._handles[request.id, request.label] = self._private(request.id, request.label)
        return raw_signature(key, request.message, way)

    def _private(self, key_id: str, label: str) -> Any:
        asked = {Attribute.ID: bytes.fromhex(key_id), Attribute.LABEL: label}
        private = self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **asked})
        if len(private) == 1:
            return private[0]
        there = ", ".join(repr(k.label) for k in self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})) or "none"
        text = f"{self._wanted}: {len(private)} private keys have label {label!r} and id {key_id}; it holds {there}"
        raise Refusal("key-ambiguous" if private else "key-missing", text)

    def _objects(self, attributes: dict[Attribute, Any]) -> list[Any]:
        # Consumed whole: an open search makes the next C_SignInit fail with OPERATION_ACTIVE.
        return list(self._session.get_objects(attributes))

    def _list(self) -> wire.Keys:
        public: dict[bytes, list[Any]] = {}
        private: dict[tuple[bytes, str], list[Any]] = {}
        for key in self._objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY}):
            public.setdefault(_attribute(key, Attribute.ID) or b"", []).append(key)
        for key in self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}):
            private.setdefault((_attribute(key, Attribute.ID) or b"", key.label or ""), []).append(key)
        keys, strange = [], []
        for (key_id, label), own in private.items():
            halves = public.get(key_id, [])
            name = f"{label!r} (id {key_id.hex()})"
            if not len(own) == len(halves) == 1:
                strange.append(f"{name} is {len(own)} private and {len(halves)} public keys, where one of each is due")
            elif found := _describe_pair(key_id, label, own[0], halves[0]):
                keys.append(found)
            else:
                strange.append(f"{name} is a key of an algorithm that is not used here")
        return wire.Keys(tuple(keys), tuple(strange))

    def _describe(self) -> wire.Described:
        token = self._token
        firmware = ".".join(map(str, token.firmware_version))
        return wire.Described(
            token.label, self.serial, token.model.strip(), token.manufacturer_id.strip(), firmware,
            token.slot.slot_description.strip(), tuple(sorted(self._mechanisms)),
        )  # fmt: skip

    def _create(self, request: wire.Create) -> wire.FoundKey:
        algorithm = algorithm_named(request.algorithm)
        way_to_sign(algorithm, self._mechanisms)
        if algorithm.generation not in self._mechanisms:
            raise MechanismMissing(f"{self._wanted} cannot generate {algorithm.name}: no {algorithm.generation}")
        key_id = bytes.fromhex(request.id)
        if self._objects({Attribute.LABEL: request.label}) or self._objects({Attribute.ID: key_id}):
            raise Refusal("key-exists", f"{self._wanted} holds an object of label {request.label!r} already")
        public, private = self._generate(algorithm, key_id, request.label)
        if len(self._objects({Attribute.LABEL: request.label})) != 2:  # somebody else made one at the same moment
            private.destroy()
            public.destroy()
            raise Refusal("key-exists", f"{self._wanted}: label {request.label!r} was taken while the key was made")
        found = _describe_pair(key_id, request.label, private, public)
        if found is None:
            raise Refusal("failed", f"{self._wanted} made something else than {algorithm.name}")
        return found

    def _generate(self, algorithm: Algorithm, key_id: bytes, label: str) -> tuple[Any, Any]:
        private = {
            Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True,
            Attribute.DERIVE: False, Attribute.DECRYPT: False, Attribute.UNWRAP: False, Attribute.MODIFIABLE: False,
        }  # fmt: skip
        public = {Attribute.VERIFY: True, Attribute.MODIFIABLE: False}
        # Not every module knows these two; a key without them is still one that cannot leave.
        strict = {**private, Attribute.COPYABLE: False, Attribute.SIGN_RECOVER: False}
        try:
            return self._generate_with(algorithm, key_id, label, public, strict)
        except _TEMPLATE_REFUSED:
            return self._generate_with(algorithm, key_id, label, public, private)

    def _generate_with(
        self, algorithm: Algorithm, key_id: bytes, label: str, public: dict[Attribute, Any], own: dict[Attribute, Any]
    ) -> tuple[Any, Any]:
        common: dict[str, Any] = {
            "id": key_id, "label": label, "store": True, "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
            "mechanism": Mechanism[algorithm.generation], "public_template": public, "private_template": own,
        }  # fmt: skip
        if algorithm.family == "rsa":
            halves = self._session.generate_keypair(KeyType.RSA, algorithm.bits, **common)
            return halves[0], halves[1]
        curve = self._session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: algorithm.curve}, local=True)
        halves = curve.generate_keypair(**common)
        return halves[0], halves[1]


def _load(module: str) -> Any:
    try:
        return pkcs11.lib(module)
    except ck.GeneralError as error:
        raise Refusal("token-busy", f"module {module} did not initialize: {error!r}") from None
    except (ck.PKCS11Error, RuntimeError) as error:
        raise Refusal("module-missing", f"module {module} cannot be loaded: {error!r}") from None


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
    raise Refusal("token-not-found", text)


def _login(token: Any, pin: str) -> Any:
    try:
        return token.open(rw=True, user_pin=pin)
    except (ck.TokenWriteProtected, ck.SessionReadOnly):
        return token.open(rw=False, user_pin=pin)  # refused before the PIN was looked at


def _describe_pair(key_id: bytes, label: str, private: Any, public: Any) -> wire.FoundKey | None:
    point, modulus, exponent, name = b"", b"", b"", None
    kind = _attribute(private, Attribute.KEY_TYPE)
    if kind is KeyType.RSA:
        modulus = _attribute(public, Attribute.MODULUS) or b""
        exponent = _attribute(public, Attribute.PUBLIC_EXPONENT) or b""
        name = algorithm_with(modulus=modulus)
    elif kind is KeyType.EC:
        point = _attribute(public, Attribute.EC_POINT) or b""
        name = algorithm_with(curve=_attribute(public, Attribute.EC_PARAMS) or b"")
    if name is None:
        return None
    attributes = {shown: _attribute(private, Attribute[shown]) for shown in _SHOWN}
    return wire.FoundKey(key_id.hex(), label, name, point, modulus, exponent, attributes)


def _attribute(key: Any, attribute: Attribute) -> Any:
    try:
        return key[attribute]
    except (ck.PKCS11Error, IndexError, ValueError):  # not known to the module, not given, or not known to us
        return None


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
    except _LOST as error:
        return wire.Failed("session-lost", f"the token ended the session: {error!r}")
    except (ck.PKCS11Error, ValueError) as error:
        return wire.Failed("failed", f"{type(request).__name__} failed on the token: {error!r}")


def _opened(order: wire.Request) -> Session | wire.Failed:
    if not isinstance(order, wire.Open):
        return wire.Failed("failed", "the first request must open the token")
    try:
        return Session(order)
    except Refusal as refusal:
        return refusal.failed
    except _PIN as error:
        return wire.Failed("pin-refused", f"token {order.label or order.serial!r} refused the PIN: {error!r}")
    except ck.PKCS11Error as error:
        return wire.Failed("token-busy", f"token {order.label or order.serial!r} did not open: {error!r}")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Every request from `source` has been answered on `sink`, and the session is closed."""
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
    """The parent has closed the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when this process ends
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the PIN
    answers = os.dup(1)
    os.dup2(2, 1)  # modules that print must not print into the answers
    with os.fdopen(answers, "wb", buffering=0) as sink, contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
