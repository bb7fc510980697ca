"""The `limits` of the configuration file: one setting for every bound of `proxy.oci.limits`, made from it."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from proxy.oci.limits import Limits

_MAY_BE_ZERO = {"denial_cache_s", "right_to_read_s", "tag_age_s", "memory_cache_bytes"}  # zero: do not remember
_HARD = {"signature_bytes": 32 * 1024 * 1024, "own_layers": 1000, "right_to_read_s": 60, "json_depth": 200}


def _limit_fields() -> dict[str, Any]:
    kinds = get_type_hints(Limits)
    return {
        f.name: (
            Annotated[
                kinds[f.name],
                Field(ge=0 if f.name in _MAY_BE_ZERO else None, gt=None if f.name in _MAY_BE_ZERO else 0),
                Field(le=_HARD.get(f.name, 10**10)),
            ],
            Field(f.default),
        )
        for f in fields(Limits)
    }


LimitsEntry: type[BaseModel] = create_model(
    "LimitsEntry",
    __config__={"strict": True, "extra": "forbid", "frozen": True},
    __doc__="Bounds, each with its unit in its name.",
    **_limit_fields(),
)
