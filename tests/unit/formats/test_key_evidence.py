import json

import pytest

from proxy.formats.format import Blob
from proxy.formats.key_evidence import KIND, document_of, encoded, text_of
from proxy.formats.table import FORMATS
from proxy.oci.reference import digest_of
from proxy.trust.evidence import Verified
from tests.worlds.softkey import layer_of, soft_key

SIGNATURE = "dev.cosignproject.cosign/signature"


def test_a_text_says_what_it_is_and_reads_back() -> None:
    document = {"key": {"label": "caf\u00e9 </script>"}, "rows": [1, None]}
    text = text_of(document)
    assert text.startswith(KIND.encode() + b"\n")
    assert text.isascii()
    assert document_of(text) == document
    for other in (b"", b"{}", KIND.encode() + b"2\n{}"):
        with pytest.raises(ValueError, match=r"not a|Expecting"):
            document_of(other)


def test_no_format_of_ours_takes_it_for_a_payload() -> None:
    """A signature over it counts for no image: as a payload it is refused, whoever wraps it as one."""
    text, key = text_of({"critical": {}}), soft_key()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    for form in FORMATS.values():
        layer = layer_of(Blob(sorted(form.media_types)[0], text, {SIGNATURE: encoded(key.sign(text))}))
        assert not form.parses(layer)
        found = form.examine(layer, digest_of(b"{}"), [key.verifier])
        assert not [finding for finding in found if isinstance(finding, Verified)]
    assert not text.startswith((b"DSSEv1", b"eyJ", b"{", b"\x30", b"\x84"))
