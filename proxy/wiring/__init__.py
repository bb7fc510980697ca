"""The composition root: the only place that knows every concrete class. Nothing inward imports it."""

from proxy.wiring.serving import serve

__all__ = ["serve"]
