import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.cli.breakglass import end, make
from proxy.cli.exits import Exit
from proxy.oci.faults import ConfigError
from proxy.oci.reference import digest_of
from proxy.trust.offline import NAME, read


def made(
    directory: Path, repository: str = "team/app", digest: str = "", seconds: int = 3600, reason: str = "r", **how: bool
) -> Exit:
    return make(
        directory / "countersign.yaml", repository, digest, reason, seconds, **{"dry_run": False, "yes": True, **how}
    )


def test_it_writes_what_the_server_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = digest_of(b"x")
    assert made(tmp_path, digest=digest) is Exit.FINE
    status = (tmp_path / NAME).stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_uid, status.st_nlink) == (os.geteuid(), 1)
    there = read((tmp_path / NAME).read_bytes(), datetime.now(UTC))
    assert (there.repositories, there.digest, there.reason) == ("team/app", digest, "r")
    assert there.until - there.opened == timedelta(hours=1)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert there.id in capsys.readouterr().out


def test_a_plan_and_a_no_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert made(tmp_path, dry_run=True) is Exit.FINE
    assert "what is denied stays denied" in capsys.readouterr().out
    assert made(tmp_path, yes=False) is Exit.NO
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_and_ended_by_taking_it_away(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(ConfigError, match="one at a time"):
        made(tmp_path)
    assert end(tmp_path / "countersign.yaml") is Exit.FINE
    assert end(tmp_path / "countersign.yaml") is Exit.NO
    assert made(tmp_path) is Exit.FINE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seconds": 7201}, "at most 2h"),
        ({"seconds": 0}, "at most 2h"),
        ({"repository": "team/**"}, "repository name not valid"),
        ({"digest": "sha256:x"}, "digest"),
        ({"reason": ""}, "say why"),
    ],
)
def test_more_than_one_scope_for_two_hours_is_refused(tmp_path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tmp_path, **change)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_only_root_or_the_servers_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="only root on this host"):
        made(tmp_path)
    with pytest.raises(ConfigError, match="only root on this host"):
        end(tmp_path / "countersign.yaml")
