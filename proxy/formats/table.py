"""Every signature format, by its name in policies and by the layer media types it claims."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.formats.bundle import BUNDLE
from proxy.formats.format import Format
from proxy.formats.notation import NOTATION_COSE, NOTATION_JWS
from proxy.formats.simple_signing import SIMPLE

_ALL: tuple[Format, ...] = (SIMPLE, BUNDLE, NOTATION_JWS, NOTATION_COSE)
FORMATS: Mapping[str, Format] = {f.name: f for f in _ALL}
_CLAIMS: Mapping[str, Format] = {media_type: f for f in _ALL for media_type in f.media_types}


def claimed_by(media_type: str) -> Format | None:
    """Return the format that claims layers of this media type, or None."""
    return _CLAIMS.get(media_type)


def announces_signatures(artifact_type: str) -> bool:
    """True when this artifact type says that a referrer carries signatures of a known format."""
    return any(artifact_type in form.artifact_types for form in _ALL)
