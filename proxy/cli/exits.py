"""Exit codes, the same for every command (docs/reference/commands.md lists them); output formats; the socket."""

import os
from enum import IntEnum, StrEnum
from pathlib import Path


class Exit(IntEnum):
    """The exit code of a command."""

    FINE = 0
    NO = 1  # the answer is no: blocked, not signed, something is wrong; or a change was refused, or not agreed to
    USAGE = 2  # an option, an argument or a file that it names is not valid: nothing was done
    CONFIG = 3  # the configuration is not valid, or not there
    NO_SERVER = 4  # the running server was needed and did not answer
    INCONCLUSIVE = 5  # could not find out
    TOKEN = 6  # doctor: a token, mechanism or key is not usable
    UPSTREAM = 7  # doctor: upstream does not answer, or lacks what policies need
    STORE = 8  # doctor: the store is not usable
    CLOCK = 9  # doctor: the clock is not to be trusted
    PIN_REFUSED = 10  # serve: the token refused the PIN; a supervisor must not restart it
    WAITING = 11  # nothing was done yet: a second person has to agree
    NEWLY_BLOCKED = 12  # policy plan: a past pull would newly be blocked


class OutputFormat(StrEnum):
    """The format of a printed answer."""

    TEXT = "text"
    JSON = "json"


class DocumentFormat(StrEnum):
    """The format of an answer that can also be a document."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def socket_beside(config: Path) -> Path:
    """Return the running server's socket; its path is known even if the configuration file is broken."""
    return Path(os.path.normpath(config.absolute())).parent / "countersign.sock"  # socket paths: at most 107 bytes
