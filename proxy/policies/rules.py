"""The policies in force, as set by the configuration."""

from __future__ import annotations

from proxy.trust.policy import PolicySet


class RulesInForce:
    """Holds one policy set; `replace` puts another in force for all later requests."""

    def __init__(self, policies: PolicySet) -> None:
        """Put these policies in force."""
        self._current = policies

    def current(self) -> PolicySet:
        """Return all policies at their current revision."""
        return self._current

    def replace(self, policies: PolicySet) -> None:
        """Put these policies in force instead. Requests already judged keep the revision they were judged under."""
        self._current = policies
