"""Decide whether a manifest is served: gather evidence, decide, and decide again when the basis changes meanwhile."""
