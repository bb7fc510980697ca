import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.oci.faults import ConfigError
from proxy.store.engines import SoleWriter, parsed, sqlite_writer


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "sqlite:////var/lib/a.db", "postgresql://u:p@h:5432/db?sslmode=require"]
)
def test_the_two_kinds_of_store(url: str) -> None:
    assert parsed(url).database


@pytest.mark.parametrize(
    "url", ["", "a.db", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/db", "postgresql://h"]
)
def test_any_other_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///PATH") as refusal:
        parsed(url)
    assert "secret" not in str(refusal.value)


def test_one_process_writes(tmp_path: Path) -> None:
    lock = SoleWriter(tmp_path / "store.db")
    with pytest.raises(ConfigError, match=f"process {os.getpid()} is already writing"):
        SoleWriter(tmp_path / "store.db")
    lock.release()
    lock.release()
    SoleWriter(tmp_path / "store.db").release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from proxy.store.engines import SoleWriter; import os;"
        f"lock = SoleWriter(Path({str(tmp_path)!r}) / 'store.db'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == -9
    SoleWriter(tmp_path / "store.db").release()


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        SoleWriter(tmp_path / "missing" / "store.db")


def modes(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


async def test_others_cannot_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a file with % and ?.db"
    engine = sqlite_writer(path)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE t (a)")
        made = modes(tmp_path)
    await engine.dispose()
    assert set(made.values()) == {0o600}
    assert path.name in made
