"""The objects on a token, seen by a logged-in session: find, list, create, destroy. Part of the child process.

A key is one private and one public object of the same id. Besides `hsm.worker`, the only importer of `pkcs11`.
"""

import secrets
from collections.abc import Callable
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as ck

from hsm import wire
from hsm.encoding import spki_of, verifies
from hsm.errors import MechanismMissing
from hsm.mechanisms import Algorithm, algorithm_named, algorithm_with, way_to_sign

_TEMPLATE_REFUSED = (ck.AttributeTypeInvalid, ck.AttributeValueInvalid, ck.AttributeReadOnly, ck.TemplateInconsistent)
_SHOWN = ("SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "PRIVATE", "SIGN", "DECRYPT",
          "UNWRAP", "DERIVE", "MODIFIABLE", "COPYABLE", "DESTROYABLE")  # fmt: skip


class Refusal(Exception):
    """A request that cannot be served, in the terms of the wire protocol."""

    def __init__(self, reason: wire.Reason, text: str) -> None:
        super().__init__(text)
        self.failed = wire.Failed(reason, text)


class Objects:
    """The objects a session sees. `name` is the token's name in texts, `mechanisms` are the ones it lists."""

    def __init__(self, session: Any, mechanisms: set[str], name: str) -> None:
        self._session = session
        self._mechanisms = mechanisms
        self._wanted = name

    def private(self, key_id: str, label: str) -> Any:
        """Return the one private key of that id and label. Raises Refusal."""
        asked = {Attribute.ID: bytes.fromhex(key_id), Attribute.LABEL: label}
        private = self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **asked})
        if len(private) == 1:
            return private[0]
        there = ", ".join(repr(k.label) for k in self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})) or "none"
        text = f"{self._wanted}: {len(private)} private keys have label {label!r} and id {key_id}; it holds {there}"
        raise Refusal("key-ambiguous" if private else "key-missing", text)

    def _objects(self, attributes: dict[Attribute, Any]) -> list[Any]:
        # Consumed completely: an open search makes the next C_SignInit fail with OPERATION_ACTIVE.
        return list(self._session.get_objects(attributes))

    def listed(self) -> wire.Keys:
        """Return every usable key pair, and a line about every other object."""
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
                strange.append(f"{name} is {len(own)} private and {len(halves)} public keys instead of one of each")
            elif found := _describe_pair(key_id, label, own[0], halves[0]):
                keys.append(found)
            else:
                strange.append(f"{name} is a key of an unsupported algorithm")
        return wire.Keys(tuple(keys), tuple(strange))

    def create(self, request: wire.Create) -> wire.FoundKey:
        """Return a new key pair that can only sign and never leave the token. Raises Refusal, MechanismMissing."""
        algorithm = algorithm_named(request.algorithm)
        way_to_sign(algorithm, self._mechanisms)
        if algorithm.generation not in self._mechanisms:
            raise MechanismMissing(f"{self._wanted} cannot generate {algorithm.name}: no {algorithm.generation}")
        key_id = bytes.fromhex(request.id)
        if self._objects({Attribute.LABEL: request.label}) or self._objects({Attribute.ID: key_id}):
            raise Refusal("key-exists", f"{self._wanted} holds an object of label {request.label!r} already")
        public, private = self._generate(algorithm, key_id, request.label)
        if len(self._objects({Attribute.LABEL: request.label})) != 2:  # another process created one at the same moment
            private.destroy()
            public.destroy()
            raise Refusal("key-exists", f"{self._wanted}: label {request.label!r} was taken while the key was made")
        found = _describe_pair(key_id, request.label, private, public)
        if found is None:
            raise Refusal("failed", f"{self._wanted} made something else than {algorithm.name}")
        return found

    def destroy(self, request: wire.Destroy, sign: Callable[[str, bytes], bytes]) -> wire.Destroyed:
        """Remove both halves of the key from the token. After Refusal nothing was changed.

        First, the private half must make a signature (`sign` takes its label) that the request's public key verifies:
        an id or a label is no proof. An interrupted earlier attempt is completed.
        """
        own = self._objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: bytes.fromhex(request.id)})
        if len(own) > 1:
            raise Refusal("key-ambiguous", f"{self._wanted}: {len(own)} private keys have id {request.id}")
        challenge = b"countersign: proof before destruction " + secrets.token_bytes(16)
        if own and not verifies(request.spki, challenge, sign(own[0].label or "", challenge)):
            text = f"{self._wanted}: the private key of id {request.id} is not the one of that public key"
            raise Refusal("failed", text)
        halves = [key for key in self._objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY}) if _is(key, request)]
        for key in (*own, *halves):  # the private half first: a remaining public half shows that the job is unfinished
            key.destroy()
        return wire.Destroyed(bool(own), bool(halves))

    def _generate(self, algorithm: Algorithm, key_id: bytes, label: str) -> tuple[Any, Any]:
        private = {
            Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True,
            Attribute.DERIVE: False, Attribute.DECRYPT: False, Attribute.UNWRAP: False, Attribute.MODIFIABLE: False,
        }  # fmt: skip
        public = {Attribute.VERIFY: True, Attribute.MODIFIABLE: False}
        # Some modules do not know these two; a key without them still cannot leave the token.
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


def _is(public: Any, request: wire.Destroy) -> bool:
    """True for the public half of exactly the requested key, whatever id or label it has."""
    row = algorithm_named(request.algorithm)
    parts = [_attribute(public, a) or b"" for a in (Attribute.EC_POINT, Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)]
    try:
        return spki_of(row, *parts) == request.spki
    except ValueError:
        return False


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
