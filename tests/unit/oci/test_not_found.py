from __future__ import annotations

import json

import pytest

from proxy.oci.not_found import NotFound, not_found


def errors(*codes: object) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "NAME_UNKNOWN is not meant"} for code in codes]}).encode()


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (b"", NotFound.SILENT),
        (b" \n", NotFound.SILENT),
        (errors("NAME_UNKNOWN"), NotFound.REPOSITORY),
        (errors("MANIFEST_UNKNOWN", "NAME_UNKNOWN"), NotFound.REPOSITORY),
        (b"<p>NAME_UNKNOWN</p>", NotFound.REPOSITORY),
        (errors("MANIFEST_UNKNOWN"), NotFound.THIS),
        (errors("SOMETHING_OF_ITS_OWN"), NotFound.THIS),
        (errors(), NotFound.FOREIGN),
        (b'{"errors": ["MANIFEST_UNKNOWN"]}', NotFound.FOREIGN),
        (b'{"errors": [{"code": 404}, {"message": "gone"}]}', NotFound.FOREIGN),
        (b'{"errors": {"code": "MANIFEST_UNKNOWN"}}', NotFound.FOREIGN),
        (b"404 page not found", NotFound.FOREIGN),
        (b'{"errors": [{"code": "MANIFEST_UNKNOWN", "detail": ' + b"[" * 99 + b"]" * 99 + b"}]}", NotFound.FOREIGN),
        (b'["MANIFEST_UNKNOWN"]', NotFound.FOREIGN),
    ],
)
def test_a_404_is_about_what_its_body_says(body: bytes, about: NotFound) -> None:
    assert not_found(body) is about
