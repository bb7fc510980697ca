"""Countersign, a signing registry proxy: see docs/ and README.md."""
