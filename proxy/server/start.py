"""The start of a serving process: it imports what serves, and leaves out what these modules would load for nothing."""

from __future__ import annotations

import asyncio
import gc
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pydantic

# SQLAlchemy would load its ORM, for sessions that we never open.
_UNUSED = ("sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.session")


def started(path: Path) -> int:
    """Serve with this configuration file until SIGTERM; return the exit code."""
    with _only_what_serves():
        from proxy.server.process import serve
    return asyncio.run(serve(path))


@contextmanager
def _only_what_serves() -> Iterator[None]:
    """Import quickly in this context (ADR 0066). What is left out is loaded later, if it is used."""
    gc.disable()  # imported modules are not garbage: each collection would take a tenth of the start
    pydantic.BaseModel.model_config["defer_build"] = True  # the shapes of the admin API, until they are first used
    # aiohttp would read the system's certificates twice, into contexts that no request of ours uses.
    ssl.SSLContext.set_default_verify_paths = _nothing  # type: ignore[method-assign, assignment]
    # structlog would load `rich`, for tracebacks that we print ourselves.
    hidden: dict[str, ModuleType | None] = {"rich": None, **{name: _Unused(name) for name in _UNUSED}}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths  # the one of its base class is in force again
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


def _nothing(_context: ssl.SSLContext) -> None:
    """Stand for `set_default_verify_paths`: a context without authorities trusts nobody."""


class _Unused(ModuleType):
    def __getattr__(self, _name: str) -> None:
        """Stand for anything that is imported from this module."""
