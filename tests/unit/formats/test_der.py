import pytest

from proxy.formats import der


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70_000])
def test_what_is_wrapped_comes_out_again(size: int) -> None:
    content = b"x" * size
    element = der.wrapped(der.SEQUENCE, content)
    assert der.inside(element, der.SEQUENCE) == content
    assert der.elements(element * 3) == (element,) * 3


def test_a_set_is_sorted() -> None:
    assert der.sorted_set(der.SET, [b"\x04\x01b", b"\x04\x01a"]) == b"\x31\x06\x04\x01a\x04\x01b"


@pytest.mark.parametrize(
    "junk",
    [b"\x30", b"\x30\x80\0\0", b"\x30\x05a", b"\x30\x81", b"\x30\x85\1\1\1\1\1", b"\x1f\x81\x01\0", b"\x30\x00\x30"],
)
def test_what_is_cut_short_or_of_no_definite_length_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  either of two short texts
        der.elements(junk)


def test_one_element_of_the_right_tag_and_nothing_after_it() -> None:
    for wrong in (b"", b"\x31\x00", b"\x30\x00\x00"):
        with pytest.raises(ValueError, match="not the DER"):
            der.inside(wrong, der.SEQUENCE)
