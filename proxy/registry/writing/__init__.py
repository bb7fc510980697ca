"""Writes to upstream: our small objects, tags, lists of referrers."""
