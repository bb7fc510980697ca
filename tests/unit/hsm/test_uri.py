import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.uri import BadUriError, Pkcs11Uri

words = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    token=words,
    serial=words,
    object_=words,
    id_=st.none() | st.binary(max_size=16),
    type_=st.sampled_from([None, "public", "private"]),
    path=words,
    source=words,
)
def test_what_is_written_is_read_back(
    token: str | None,
    serial: str | None,
    object_: str | None,
    id_: bytes | None,
    type_: str | None,
    path: str | None,
    source: str | None,
) -> None:
    uri = Pkcs11Uri(token, serial, object=object_, id=id_, type=type_, module_path=path, pin_source=source)
    assert Pkcs11Uri.parse(str(uri)) == uri


def test_the_example_of_the_rfc() -> None:
    uri = Pkcs11Uri.parse(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
        "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin"
    )
    assert uri.token == "The Software PKCS#11 Softtoken"
    assert uri.manufacturer == "Snake Oil, Inc."
    assert uri.id == bytes.fromhex("69953e5cf4bdec91")
    assert (uri.serial, uri.type, uri.pin_source) == ("", "cert", "file:/etc/token_pin")


def test_an_empty_uri_selects_anything() -> None:
    assert Pkcs11Uri.parse("pkcs11:") == Pkcs11Uri()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file:/dev/null", "begins with"),
        ("token=x", "begins with"),
        ("pkcs11:token=a;token=b", "twice"),
        ("pkcs11:slot-id=1", "not known"),
        ("pkcs11:token", "not known"),
        ("pkcs11:type=other", "is none of"),
        ("pkcs11:token=%FF", "not UTF-8"),
        ("pkcs11:token=x?pin-value=1234", "a PIN does not belong"),
        ("pkcs11:module-path=/x.so", "not known"),
    ],
)
def test_what_cannot_be_honoured_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadUriError, match=why) as caught:
        Pkcs11Uri.parse(text)
    assert "1234" not in str(caught.value)
