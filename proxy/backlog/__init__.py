"""Signing what is in the registry already: the list of it, made and shown first, and the signatures."""
