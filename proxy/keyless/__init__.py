"""Sigstore certificates, verified offline by the `sigstore` library; only this package imports it."""
