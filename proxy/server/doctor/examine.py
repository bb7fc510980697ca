"""All checks of `countersign doctor`, in the server that is called or in the command where no server answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy import version
from proxy.config import Settings, load
from proxy.oci.faults import ConfigError
from proxy.oci.reference import Repository, parse_repository
from proxy.server.doctor.checkup import DoctorFinding, check_room, check_store, check_tokens
from proxy.server.doctor.credentials import check_admin, check_endings
from proxy.server.doctor.immutable_tags import check_tags_move
from proxy.server.doctor.policies import check_policies
from proxy.server.doctor.upstream import check_upstream
from proxy.server.doctor_operations import found
from proxy.store.clock import SystemClock


def offline(config: Path, typed: Mapping[str, Any], away: str) -> dict[str, Any]:
    """Return the findings of this command; `away` says why no server answered, which is not an error."""
    name = typed["write_to"]
    writable = parse_repository(name) if name else None
    server = DoctorFinding("server", "skipped", f"{away}; this command made the checks (countersign {version()})")
    return found([*asyncio.run(examine(config, writable)), server]).model_dump(mode="json")


async def examine(path: Path, write_to: Repository | None) -> Sequence[DoctorFinding]:
    """Return the findings on everything that this configuration file names; only the file's if it is not valid."""
    try:
        settings = await asyncio.to_thread(load, path)
    except ConfigError as error:
        fix = "correct the lines above; settings: config.example.yaml"
        return [DoctorFinding("configuration", "wrong", str(error), fix)]
    upstream, clock = await check_upstream(settings)
    if write_to is not None:
        upstream = replace(upstream, inner=(*upstream.inner, await check_tags_move(settings, write_to)))
    tokens, store = await check_tokens(settings), await check_store(settings)
    store = replace(store, inner=(*store.inner, check_room(settings.store.url)))
    admin = check_admin(settings, SystemClock())
    policies = await check_policies(settings)
    ends = await check_endings(settings, SystemClock())
    return [_configuration(settings), tokens, upstream, store, policies, clock, ends, admin]


def _configuration(settings: Settings) -> DoctorFinding:
    parts = (text.removeprefix(f"{settings.path.parent}/").partition(": ") for text in settings.warnings)
    warned = tuple(DoctorFinding(where, "warning", says) for where, _, says in parts)
    return DoctorFinding("configuration", "ok", f"{settings.path}, revision {settings.revision[:12]}", inner=warned)
