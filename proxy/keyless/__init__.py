"""Certificates of sigstore's kind, verified by its own library, offline; only what is in here imports it."""
