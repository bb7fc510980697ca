"""Just enough DER to reorder foreign structures for a strict parser."""

from __future__ import annotations

from collections.abc import Sequence

SEQUENCE, SET, FIRST = 0x30, 0x31, 0xA0
_LONG = 0x80


def wrapped(tag: int, *parts: bytes) -> bytes:
    """Return one element of this tag around these parts."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(written))) + written + content


def elements(content: bytes) -> tuple[bytes, ...]:
    """Return the consecutive elements, each whole. Raises ValueError unless they fill the content."""
    found, at = [], 0
    while at < len(content):
        end = _end(content, at)
        found.append(content[at:end])
        at = end
    return tuple(found)


def inside(element: bytes, tag: int) -> bytes:
    """Return the content of one element of this tag. Raises ValueError for another tag, and for bytes after it."""
    if not element or element[0] != tag or _end(element, 0) != len(element):
        raise ValueError("not the DER that should stand here")
    return element[_head(element, 0) :]


def sorted_set(tag: int, parts: Sequence[bytes]) -> bytes:
    """Return a SET OF in DER's order (X.690 section 11.6)."""
    return wrapped(tag, *sorted(parts))


def _head(data: bytes, at: int) -> int:
    """Return the offset of the content of the element at this offset."""
    if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
        raise ValueError("not the DER that should stand here")
    first = data[at + 1]
    count = 0 if first < _LONG else first & 0x7F
    if first == _LONG or count > 4 or at + 2 + count > len(data):  # indefinite, far too long, or cut short
        raise ValueError("not the DER that should stand here")
    return at + 2 + count


def _end(data: bytes, at: int) -> int:
    begin = _head(data, at)
    size = data[at + 1] if data[at + 1] < _LONG else int.from_bytes(data[at + 2 : begin], "big")
    if begin + size > len(data):
        raise ValueError("cut short")
    return begin + size
