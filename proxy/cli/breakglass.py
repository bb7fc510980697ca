"""Break-glass on the host, when no server, store or token answers: a file that the server honours when it sees it."""

from __future__ import annotations

import os
import pwd
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.cli.agreed import asked
from proxy.cli.exits import Exit
from proxy.oci.faults import ConfigError, Fault
from proxy.oci.reference import parse_digest, parse_repository
from proxy.trust.exception import PolicyException
from proxy.trust.explain import plain
from proxy.trust.offline import HOW, LONGEST, NAME, written


def make(config: Path, repository: str, digest: str, reason: str, seconds: int, *, dry_run: bool, yes: bool) -> Exit:
    """Write the file, after the plan was shown and agreed to. Raises ConfigError for what is not to be."""
    path = _place(config)
    if path.exists():
        raise ConfigError(f"{path} is there already: one at a time; end that one: countersign breakglass --end")
    try:
        where, what = parse_repository(repository), parse_digest(digest) if digest else None
    except Fault as wrong:
        raise ConfigError(wrong.message) from None
    if not 0 < len(reason) <= 500 or not reason.isprintable():
        raise ConfigError("--reason: found nothing, or more than a line; say why, in at most 500 characters")
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ConfigError("--for: allowed: at most 2h; without a server nobody could end it from afar")
    now = datetime.now(UTC)
    made = PolicyException(
        secrets.token_hex(6), where, what, False, reason, _who(), HOW, now, now + timedelta(seconds=seconds)
    )
    until = f"{made.until:%Y-%m-%d %H:%M}Z"
    plan = (
        f"let {made.scope} be pulled until {until} although policy blocks it; what is denied stays denied",
        f"write {path}, which the server of this host honours within a second, and puts on record when it can",
    )
    (sys.stdout if dry_run else sys.stderr).write("".join(f"  - {plain(step, 500)}\n" for step in plan))
    if dry_run:
        return Exit.FINE
    if not yes and not asked():
        sys.stderr.write("nothing was done\n")
        return Exit.NO
    _write(path, written(made))
    sys.stdout.write(f"exception {made.id} for {made.scope} is open until {made.until:%Y-%m-%d %H:%M}Z\n")
    sys.stdout.write("end it before: countersign breakglass --end\n")
    return Exit.FINE


def end(config: Path) -> Exit:
    """Take the file away."""
    path = _place(config)
    try:
        path.unlink()
    except FileNotFoundError:
        sys.stdout.write(f"there is no {path}\n")
        return Exit.NO
    sys.stdout.write("it is over; review it once the server has it on record: countersign exceptions list\n")
    return Exit.FINE


def _place(config: Path) -> Path:
    """Return where the file is. Raises ConfigError for who may not write it."""
    directory = Path(os.path.normpath(config.absolute())).parent
    try:
        owner = directory.stat().st_uid
    except OSError as wrong:
        raise ConfigError(f"{directory}: {wrong.strerror}; name the server's configuration with --config") from None
    if os.geteuid() not in {0, owner}:
        raise ConfigError(
            "only root on this host may break the glass, or the user the server runs as; run this as root"
        )
    return directory / NAME


def _who() -> str:
    name = pwd.getpwuid(os.getuid()).pw_name
    through = os.environ.get("SUDO_USER", "")
    return plain(f"{name} on the host" + (f" (sudo from {through})" if through else ""), 200)


def _write(path: Path, data: bytes) -> None:
    """Have it there whole, for its owner and the server's group to read; never longer than it takes to rename."""
    draft = path.with_name(f".{NAME}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(handle, 0, path.parent.stat().st_gid)
            os.fchmod(handle, 0o640)
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.link(draft, path)  # unlike a rename, this replaces nothing
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already: one at a time; end that one: countersign breakglass --end"
        ) from None
    finally:
        draft.unlink(missing_ok=True)
