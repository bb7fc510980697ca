"""Exit codes, the same for every command; docs/reference/commands.md lists them."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit code of a command."""

    FINE = 0
    NO = 1  # the answer is no: blocked, not signed, or a problem exists
    USAGE = 2  # the command line was not understood (typer's own); policy plan: a pull would newly be blocked
    CONFIG = 3  # the configuration is invalid or missing
    NO_SERVER = 4  # the command needs the running server, which did not answer
    INCONCLUSIVE = 5  # the answer could not be determined
    TOKEN = 6  # doctor: a token, mechanism or key cannot be used
    UPSTREAM = 7  # doctor: upstream does not answer, or lacks a feature that policies need
    STORE = 8  # doctor: the store cannot be used
    CLOCK = 9  # doctor: the clock is wrong
    PIN_REFUSED = 10  # serve: the token refused the PIN; a supervisor must not restart it
    WAITING = 11  # nothing was done yet: a second person must approve
