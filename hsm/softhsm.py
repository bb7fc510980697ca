"""A private SoftHSM token in a directory: for trials, and for `countersign init`.

`softhsm2-util` takes the PIN as an argument only, where every process can read it. So its three calls (C_InitToken,
C_Login, C_InitPIN) are made here, in a separate child process that gets the PIN on its stdin.
"""

import ctypes
import json
import resource
import subprocess
import sys
from pathlib import Path

from hsm.child import environment
from hsm.errors import KeyExists, TokenError, TokenNotFound

_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
_TOKEN_INITIALIZED, _PIN_INITIALIZED = 0x400, 0x8
_SESSION = 0x2 | 0x4  # CKF_RW_SESSION | CKF_SERIAL_SESSION
_LABEL_BYTES = 32


def find_softhsm() -> str:
    """Return the path of SoftHSM's PKCS#11 module. Raises TokenNotFound saying how to install it."""
    for place in _PLACES:
        if Path(place).exists():
            return place
    raise TokenNotFound("SoftHSM is not installed where it usually is; install it (Debian: apt install softhsm2)")


def softhsm_environment(directory: Path) -> dict[str, str]:
    """Return the environment a process needs to use the tokens in that directory."""
    return {"SOFTHSM2_CONF": str(directory.resolve() / "softhsm2.conf")}


def initialise_softhsm(
    directory: Path, label: str, pin: str, so_pin: str, *, module: str | None = None
) -> dict[str, str]:
    """Create a token of that label in the directory; return the environment that its users need.

    Raises KeyExists when the directory already holds a token of that label: nothing is ever overwritten. A token whose
    creation was interrupted before it had a PIN is completed with this one.
    """
    if not 0 < len(label.encode()) <= _LABEL_BYTES:
        raise TokenError(f"a token label has 1 to {_LABEL_BYTES} bytes, {label!r} has {len(label.encode())}")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tokens = directory.resolve() / "tokens"
    tokens.mkdir(mode=0o700, exist_ok=True)
    configuration = directory / "softhsm2.conf"
    if not configuration.exists():
        configuration.write_text(
            f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
        )
    extra = softhsm_environment(directory)
    order = {"module": module or find_softhsm(), "label": label, "pin": pin, "so_pin": so_pin}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hsm.softhsm"],
        input=json.dumps(order), capture_output=True, text=True, env=environment(extra), timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 3:
        raise KeyExists(f"{directory} holds a token {label!r} already; it was not changed")
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise TokenError(f"no token {label!r} could be made in {directory}: {why[0]}")
    return extra


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturer", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial", ctypes.c_char * 16),
        ("flags", ctypes.c_ulong),
        ("rest", ctypes.c_byte * 256),  # counters, versions and time, which are not examined
    )


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    result = getattr(library, name)(*arguments)
    if result:
        sys.exit(f"{name} answered 0x{result & 0xFFFFFFFF:x}")


def _initialise(order: dict[str, str]) -> None:
    library = ctypes.CDLL(order["module"])
    _call(library, "C_Initialize", None)
    count = ctypes.c_ulong()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
    slots = (ctypes.c_ulong * count.value)()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
    free = half = None
    wanted = order["label"].encode().ljust(_LABEL_BYTES)
    for slot in slots:
        info = _TokenInfo()
        _call(library, "C_GetTokenInfo", ctypes.c_ulong(slot), ctypes.byref(info))
        if not info.flags & _TOKEN_INITIALIZED:
            free = ctypes.c_ulong(slot)
        elif info.label.ljust(_LABEL_BYTES) == wanted:
            if info.flags & _PIN_INITIALIZED:
                sys.exit(3)
            half = ctypes.c_ulong(slot)
    if free is None and half is None:
        sys.exit("the module shows no free slot")
    pin, so_pin = order["pin"].encode(), order["so_pin"].encode()
    session = ctypes.c_ulong()
    if half is None:
        _call(library, "C_InitToken", free, so_pin, ctypes.c_ulong(len(so_pin)), wanted)
    _call(library, "C_OpenSession", half or free, ctypes.c_ulong(_SESSION), None, None, ctypes.byref(session))
    _call(library, "C_Login", session, ctypes.c_ulong(0), so_pin, ctypes.c_ulong(len(so_pin)))
    _call(library, "C_InitPIN", session, pin, ctypes.c_ulong(len(pin)))
    _call(library, "C_Finalize", None)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold both PINs
    _initialise(json.load(sys.stdin))
