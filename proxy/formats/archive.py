"""Detect archives among bytes that are exempt because they parse as another format.

A tar header is 512 bytes with a checksum and needs no zero byte, so a whole file tree of printable characters fits into
one JSON string: the same bytes are a strict signature payload to us and a root file system to podman.
"""

from __future__ import annotations

BLOCK = 512
_CHECKSUM = slice(148, 156)
_DIGITS = frozenset(b"01234567")


def is_tar(data: bytes) -> bool:
    """True when any 512-byte block is a tar header: unpackers check the checksum, and some skip invalid blocks.

    Compressed archives need no check: none of them begins as JSON or a tagged COSE_Sign1 does.
    """
    return any(_is_header(data[at : at + BLOCK]) for at in range(0, len(data) - BLOCK + 1, BLOCK))


def _is_header(block: bytes) -> bool:
    """True when the octal number in the checksum field is the sum of the block, with spaces in the field itself."""
    field = block[_CHECKSUM]
    digits = field.strip(b" \0").partition(b"\0")[0].partition(b" ")[0]
    if not digits or not _DIGITS.issuperset(digits):
        return False
    rest = block[: _CHECKSUM.start] + block[_CHECKSUM.stop :]
    spaces = 8 * ord(" ")
    signed = sum(b - 256 if b > 127 else b for b in rest)  # as some old tars computed it
    return int(digits, 8) in {sum(rest) + spaces, signed + spaces}
