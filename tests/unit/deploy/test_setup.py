"""What `make setup` installs, and what it says when it may not."""

import re
from pathlib import Path

import pytest

from deploy.setup import packages, python

ROOT = Path(__file__).parents[3]


def test_nothing_missing_asks_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(packages, "is_here", lambda _: True)
    monkeypatch.setattr(packages, "apt", lambda: pytest.fail("there was nothing to install"))
    assert packages.main("all") == 0
    assert capsys.readouterr().out == "setup: system packages are all here\n"


def test_without_root_it_names_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(packages, "is_here", lambda program: program.name not in {"wrk", "skopeo"})
    monkeypatch.setattr(packages, "apt", lambda: None)
    assert packages.main("all") == 0
    said = capsys.readouterr().out
    assert "sudo apt-get install skopeo wrk" in said
    assert "load for benchmarks" in said


def test_what_only_tests_need_is_not_missed_when_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "is_here", lambda program: program.needed_to_run)
    assert packages.main("run") == 0
    assert "all here" in capsys.readouterr().out


def test_a_user_without_sudo_may_not_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("CI", raising=False)
    assert packages.apt() is None


def venv(folder: Path, monkeypatch: pytest.MonkeyPatch, stamp: str | None) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "countersign").touch()
    monkeypatch.setattr(python, "VENV", folder)
    if stamp:
        (folder / f".countersign-{stamp}").write_text(python.fingerprint(stamp))


@pytest.mark.parametrize(
    ("installed", "wanted", "done"),
    [("dev", "dev", True), ("dev", "run", True), ("run", "run", True), ("run", "dev", False), (None, "run", False)],
)
def test_what_is_installed_is_not_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str | None, wanted: str, done: bool
) -> None:
    venv(tmp_path, monkeypatch, installed)
    assert python.is_done(wanted) is done


def test_a_changed_pin_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv(tmp_path, monkeypatch, None)
    (tmp_path / ".countersign-dev").write_text("what the files hashed to last week")
    assert not python.is_done("dev")


def test_help_lists_every_target_a_person_calls() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    described = re.findall(r"^([a-z-]+):.*## .+", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(targets) - set(described) == {"venv", "run-setup"}


def test_no_pin_names_where_it_is_downloaded() -> None:
    pins = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("tests/interop/*/go.*")]
    assert len(pins) > 10
    for path in pins:
        assert not re.search(r"https?://", path.read_text()), path
