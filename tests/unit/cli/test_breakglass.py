import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.cli.agreed import Confirmation
from proxy.cli.breakglass import end, make
from proxy.cli.exits import Exit
from proxy.oci.faults import ConfigError, Invalid
from proxy.oci.reference import digest_of
from proxy.overrides.offline_file import file_of, read


def made(
    directory: Path, repository: str = "team/app", digest: str = "", seconds: int = 3600, reason: str = "r", **how: bool
) -> Exit:
    manner = Confirmation(dry_run=how.get("dry_run", False), yes=how.get("yes", True))
    return make(directory / "countersign.yaml", repository, digest, reason, seconds, manner)


def test_it_writes_what_the_server_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = digest_of(b"x")
    assert made(tmp_path, digest=digest) is Exit.FINE
    (path,) = tmp_path.iterdir()
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert (status.st_uid, status.st_nlink) == (os.geteuid(), 1)
    there = read(path.read_bytes(), datetime.now(UTC))
    assert (there.repositories, there.digest, there.reason) == ("team/app", digest, "r")
    assert there.until - there.opened == timedelta(hours=1)
    assert path.name == file_of(there.id)
    assert there.id in capsys.readouterr().out


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        made(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_and_a_no_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert made(tmp_path, dry_run=True) is Exit.FINE
    assert "denials stay in force" in capsys.readouterr().out
    assert made(tmp_path, yes=False) is Exit.NO
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(ConfigError, match="an exception is open on this host already"):
        made(tmp_path)
    assert end(tmp_path / "countersign.yaml") is Exit.FINE
    assert end(tmp_path / "countersign.yaml") is Exit.NO
    (path,) = tmp_path.iterdir()
    assert read(path.read_bytes(), datetime.now(UTC)).until <= datetime.now(UTC), "it stays, for the record"
    assert made(tmp_path) is Exit.FINE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seconds": 7201}, "at most 2h"),
        ({"seconds": 0}, "at most 2h"),
        ({"repository": "team/**"}, "write one repository"),
        ({"digest": "sha256:x"}, "digest"),
        ({"reason": ""}, "that says why"),
    ],
)
def test_more_than_one_scope_for_two_hours_is_refused(tmp_path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        made(tmp_path, **change)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_only_root_or_the_servers_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="only root on this host"):
        made(tmp_path)
    with pytest.raises(ConfigError, match="only root on this host"):
        end(tmp_path / "countersign.yaml")
