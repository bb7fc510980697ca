from __future__ import annotations

from pathlib import Path

import pytest

from hsm import TokenError, TokenNotFound, softhsm
from hsm.softhsm import find_softhsm, initialise_softhsm, softhsm_environment


@pytest.mark.parametrize("label", ["", "x" * 33, "\u00e4" * 17])
def test_a_label_that_no_token_can_have_leaves_nothing_behind(label: str, tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="1 to 32 bytes"):
        initialise_softhsm(tmp_path / "token", label, "pin", "so-pin")
    assert list(tmp_path.iterdir()) == []


def test_users_see_the_directory_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert softhsm_environment(Path("token")) == {"SOFTHSM2_CONF": str(tmp_path.resolve() / "token" / "softhsm2.conf")}


def test_the_first_place_that_is_there_counts_and_none_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tuple(str(tmp_path / name) for name in ("one.so", "two.so", "three.so"))
    monkeypatch.setattr(softhsm, "_PLACES", places)
    with pytest.raises(TokenNotFound, match="apt install softhsm2"):
        find_softhsm()
    for name in ("three.so", "two.so"):
        (tmp_path / name).touch()
        assert find_softhsm() == str(tmp_path / name)


def test_a_module_that_does_not_load_is_an_error_without_the_pins(tmp_path: Path) -> None:
    module = tmp_path / "broken.so"
    module.write_text("not a library")
    with pytest.raises(TokenError, match="no token 'test' could be made") as refused:
        initialise_softhsm(tmp_path / "token", "test", "canary-pin", "canary-so", module=str(module))
    assert "canary" not in str(refused.value)
