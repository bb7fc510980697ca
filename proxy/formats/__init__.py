"""Signature formats: one file per format. Pure."""
