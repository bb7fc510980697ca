"""The text for operators when upstream does not give our own account an image."""

from __future__ import annotations

from proxy.oci.faults import Fault, Unavailable


def not_given(what: str, status: int) -> Fault | Unavailable:
    """Return the exception to raise for upstream's answer to our own request about `what`."""
    if status == 404:
        return Fault("MANIFEST_UNKNOWN", f"{what} is not in the registry")
    if status in (401, 403):
        return Fault(
            "DENIED",
            f"the registry does not let our account read {what} (it answered {status}): upstreams[0].credentials must "
            "name an account that may, with its password; see: countersign doctor",
        )
    return Unavailable(f"the registry answered {status} for {what}")
