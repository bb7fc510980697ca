from __future__ import annotations

import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import simple_signing
from proxy.formats.archive import BLOCK, is_tar
from proxy.oci.reference import digest_of
from tests.worlds.polyglot import PROGRAM, payload
from tests.worlds.softkey import soft_key

SUBJECT = digest_of(b"image")


def packed(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        entry = tarfile.TarInfo("bin/sh")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"\x7fELF"))
    return out.getvalue()


def test_the_polyglot_is_both_a_payload_and_an_archive() -> None:
    data = payload(SUBJECT)
    assert simple_signing.parse(data).digest == SUBJECT
    assert json.loads(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (tool,) = [entry for entry in archive if entry.name.endswith("bin/tool")]
        unpacked = archive.extractfile(tool)
        assert unpacked is not None
        assert unpacked.read() == PROGRAM
    assert is_tar(data)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_every_kind(form: int) -> None:
    assert is_tar(packed(form))
    assert is_tar(b" " * BLOCK + packed(form))


def test_a_checksum_of_signed_characters_counts_too() -> None:
    block = bytearray(b"\xff" * BLOCK)
    block[148:156] = b" " * 8
    total = sum(b - 256 if b > 127 else b for b in block)
    block[0:148] = b"\x7f" * 148
    total = sum(b - 256 if b > 127 else b for b in block)
    block[148:156] = b"%06o\0 " % total
    assert is_tar(bytes(block))


@given(st.binary(max_size=2000))
def test_other_bytes_are_no_archive(data: bytes) -> None:
    assert not is_tar(data) or len(data) >= BLOCK


@pytest.mark.parametrize("form", ["cosign-simple", "sigstore-bundle"])
def test_real_signatures_are_no_archive(form: str) -> None:
    for n in range(20):
        assert not is_tar(soft_key().layer(form, SUBJECT, pusher="x" * n * 40).data)
