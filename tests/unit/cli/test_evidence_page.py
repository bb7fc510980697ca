import base64
import json

from proxy.cli.evidence_page import page
from proxy.formats.key_evidence import CHECK, encoded, text_of

DOCUMENT = {
    "at": "2026-01-02T12:00:00+00:00",
    "by": "countersign",
    "key": {"fingerprint": "ab" * 32, "profile": "release"},
    "token": {"mechanisms": ["ECDSA", "RSA_PKCS"], "label": "<script>alert(1)</script>"},
    "attributes": {"EXTRACTABLE": False, "LOCAL": None},
    "journal": [{"at": "then", "kind": "key.created", "who": "a<b", "how": "", "detail": {"reason": "x"}}],
}


def test_the_page_shows_everything_and_has_the_file_inside() -> None:
    made = {"signed": encoded(text_of(DOCUMENT)), "signature": "c2ln", "public_key": "PEM\n", "check": list(CHECK)}
    html = page(made)
    for shown in ("ab" * 32, "ECDSA, RSA_PKCS", "not told", "key.created", "the server itself", "openssl dgst"):
        assert shown in html
    assert "<script>" not in html
    inside = html.split('<pre id="evidence">')[1].split("</pre>")[0]
    file = json.loads(inside.replace("&quot;", '"').replace("&#x27;", "'").replace("&gt;", ">").replace("&amp;", "&"))
    assert json.loads(base64.b64decode(file["signed"]).partition(b"\n")[2]) == DOCUMENT
