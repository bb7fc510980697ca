"""Countersign, a signing registry proxy: see docs/ and README.md."""

from functools import cache


@cache
def version() -> str:
    """Return the version of the installed program: that of pyproject.toml, from the metadata of the package."""
    from importlib.metadata import version as installed

    return installed("countersign")
