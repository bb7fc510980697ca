"""The fault-injecting PKCS#11 module, built, and the files that steer it."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hsm import TokenSettings
from tests.worlds.softhsm import SoftToken

SOURCE = Path(__file__).with_name("pkcs11_fault.c")
ALWAYS = -1

PIN_INCORRECT, PIN_LOCKED = 0xA0, 0xA4
GENERAL_ERROR, DEVICE_REMOVED, SESSION_HANDLE_INVALID = 0x05, 0x32, 0xB3
USER_NOT_LOGGED_IN, TOKEN_NOT_PRESENT, TOKEN_WRITE_PROTECTED = 0x101, 0xE0, 0xE2
FUNCTION_REJECTED = 0x200
SHA256_RSA_PKCS, ECDSA = 0x40, 0x1041


def buildable() -> bool:
    """A C compiler is there."""
    return shutil.which("gcc") is not None


def build(directory: Path) -> Path:
    """The module, compiled into that directory."""
    module = directory / "pkcs11_fault.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", module, SOURCE, "-ldl"], check=True)
    return module


@dataclass(frozen=True)
class Faulty:
    """A token behind the faulty module."""

    control: Path
    settings: TokenSettings

    def inject(self, fault: str, value: int = 1, times: int = 1) -> None:
        """The next calls, that many times, meet the fault."""
        fresh = self.control / f"{fault}.new"
        fresh.write_text(f"{value} {times}")
        fresh.replace(self.control / fault)

    def heal(self, fault: str) -> None:
        """The fault is gone."""
        (self.control / fault).unlink(missing_ok=True)

    def seen(self, event: str) -> int:
        """How often the module was called for a login or a signature."""
        log = self.control / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return sum(line.endswith(f" {event}") for line in lines)


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """It has become true; `TimeoutError` when it did not."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for happens in other processes
            await asyncio.sleep(0.05)


def behind(module: Path, token: SoftToken, control: Path, **changes: object) -> Faulty:
    """The same token, reached through the faulty module."""
    control.mkdir(exist_ok=True)
    steering = {"PKCS11_FAULT_REAL": token.settings.module, "PKCS11_FAULT_CONTROL": str(control)}
    environment = {**token.settings.environment, **steering}
    settings = replace(token.settings, module=str(module), environment=environment)
    return Faulty(control, replace(settings, **changes))  # type: ignore[arg-type]
