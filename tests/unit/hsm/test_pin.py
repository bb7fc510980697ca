import os
from pathlib import Path

import pytest

from hsm.errors import PinRefused
from hsm.pin import PinMemory, identity_of


def test_a_refused_pin_is_refused_until_it_changes(tmp_path: Path) -> None:
    memory = PinMemory(tmp_path / "refused", "1:2:3")
    memory.check("token 'a'")
    memory.refused()
    with pytest.raises(PinRefused, match=r"token 'a' refused this PIN before.*remove .*refused"):
        memory.check("token 'a'")
    PinMemory(tmp_path / "refused", "1:2:4").check("token 'a'")
    memory.accepted()
    memory.check("token 'a'")


def test_a_memory_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", "nonsense"):
        (tmp_path / "refused").write_text(text)
        with pytest.raises(PinRefused):
            PinMemory(tmp_path / "refused", "1").check("token 'a'")


def test_without_a_path_nothing_is_remembered() -> None:
    memory = PinMemory(None, "1")
    memory.refused()
    memory.check("token 'a'")
    memory.accepted()


def test_the_identity_changes_with_the_file(tmp_path: Path) -> None:
    source = tmp_path / "pin"
    source.write_text("1234")
    seen = {identity_of(source)}
    source.write_text("12345")
    seen.add(identity_of(source))
    os.utime(source, ns=(1, 1))
    seen.add(identity_of(source))
    source.rename(tmp_path / "old")
    source.write_text("12345")
    os.utime(source, ns=(1, 1))
    seen.add(identity_of(source))
    assert len(seen) == 4
    assert not any(part == "1234" for identity in seen for part in identity.split(":"))
