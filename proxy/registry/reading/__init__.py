"""Upstream's content and answers, read within bounds and hashed here."""
