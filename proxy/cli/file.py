"""Finds the configuration file of a command. Kept out of `proxy.config`, which takes 0.3 s to import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxy.oci.faults import ConfigError

PLACES = (Path("countersign.yaml"), Path("/etc/countersign/countersign.yaml"))


def find(given: Path | None, environment: Mapping[str, str]) -> Path:
    """Return the file to use: the given one, $COUNTERSIGN_CONFIG, or the first usual place. Raises ConfigError.

    A directory means the countersign.yaml in it.
    """
    named = environment.get("COUNTERSIGN_CONFIG")
    chosen = given or (Path(named) if named else None)
    if chosen is not None:
        return chosen / "countersign.yaml" if chosen.is_dir() else chosen
    for place in PLACES:
        if place.exists():
            return place
    looked = ", ".join(str(place) for place in PLACES)
    raise ConfigError(
        f"no configuration found ({looked}); give --config FILE, or make one: countersign init --upstream URL"
    )
