"""Break-glass on the host, when server, store or token do not answer: a file that the server obeys once it sees it."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from proxy.cli.agreed import Confirmation, confirmed
from proxy.cli.ask import told
from proxy.cli.exits import Exit, OutputFormat
from proxy.cli.typed import wrong
from proxy.oci.duration import span_text
from proxy.oci.faults import ConfigError, Corrupt, Fault, visible
from proxy.oci.reference import parse_digest, parse_repository
from proxy.overrides.offline_file import HOW, LONGEST, PATTERN, file_of, read, written
from proxy.trust.exception import PolicyException

T = TypeVar("T")


def make(config: Path, repository: str, digest: str, reason: str, seconds: int, manner: Confirmation) -> Exit:
    """Write the file after the plan was shown and confirmed. Raises Invalid for what was typed, ConfigError."""
    directory, now = _place(config), datetime.now(UTC)
    if _open(directory, now):
        raise ConfigError(f"an exception is open on this host already; end it first: {_end(config)}")
    where = _parsed(parse_repository, "--repository", repository, "write one repository, such as team/app")
    what = _parsed(parse_digest, "--digest", digest, "write sha256: and 64 hex digits") if digest else None
    if not 0 < len(reason) <= 500 or not reason.isprintable():
        raise wrong("--reason", reason, "write one line of at most 500 characters that says why")
    if not 0 < seconds <= LONGEST.total_seconds():
        raise wrong(
            "--for", span_text(timedelta(seconds=seconds)), "at most 2h: without a server nobody ends it remotely"
        )
    made = PolicyException(
        secrets.token_hex(6), where, what, False, reason, _who(), HOW, now, now + timedelta(seconds=seconds)
    )
    path = directory / file_of(made.id)
    until = f"{made.until:%Y-%m-%d %H:%M}Z"
    plan = (
        f"allow pulls of {made.scope} until {until} although policy blocks them; denials stay in force",
        f"write {path}, which the server of this host applies within a second, and records when it can",
    )
    if (left := confirmed(plan, manner)) is not None:
        return left
    _write(path, written(made))
    answer = {"id": made.id, "repository": where, "digest": what, "until": made.until.isoformat()}
    text = f"exception {made.id} for {made.scope} is open until {made.until:%Y-%m-%d %H:%M}Z\n"
    return told(manner.form, answer, f"{text}end it earlier: {_end(config)}\n")


def _parsed(parse: Callable[[str], T], option: str, text: str, wanted: str) -> T:
    try:
        return parse(text)
    except Fault:
        raise wrong(option, text, wanted) from None


def end(config: Path, form: OutputFormat = OutputFormat.TEXT) -> Exit:
    """End it now. The file stays until the server has recorded it; the server then deletes the file."""
    directory, now, at = _place(config), datetime.now(UTC), shlex.quote(str(config))
    there = _open(directory, now)
    for each in there:
        _write(directory / file_of(each.id), written(replace(each, until=max(now, each.opened))))
    text = "".join(f"review it then: countersign exceptions review {e.id} --reason TEXT --config {at}\n" for e in there)
    ends = "it ends within a second; a stopped server records that when it starts.\n"
    told(form, {"ended": [e.id for e in there]}, ends + text if there else "no exception is open on this host\n")
    return Exit.FINE if there else Exit.NO


def _end(config: Path) -> str:
    return f"countersign breakglass --end --config {shlex.quote(str(config))}"


def _open(directory: Path, now: datetime) -> list[PolicyException]:
    """Return the open exceptions in readable files; the server reports the unreadable ones."""
    found = []
    for path in directory.glob(PATTERN):
        with suppress(OSError, Corrupt):
            made = datetime.fromtimestamp(path.lstat().st_ctime, UTC)
            found.append(read(path.read_bytes(), made))
    return [each for each in found if each.until > now]


def _place(config: Path) -> Path:
    """Return the directory of the files. Raises ConfigError if this user may not write there."""
    directory = Path(os.path.normpath(config.absolute())).parent
    try:
        owner = directory.stat().st_uid
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror}; name the server's configuration with --config") from None
    if os.geteuid() not in {0, owner}:
        raise ConfigError("only root on this host and the user of the server may break the glass; run this as root")
    return directory


def _who() -> str:
    name = pwd.getpwuid(os.getuid()).pw_name
    through = os.environ.get("SUDO_USER", "")
    return visible(f"{name} on the host" + (f" (sudo from {through})" if through else ""), 200)


def _write(path: Path, data: bytes) -> None:
    """Write the file atomically: readable for the server, writable for its owner only."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); it takes a few hundred bytes there") from None
    finally:
        with suppress(OSError):
            draft.unlink()
