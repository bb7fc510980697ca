"""Policies: their revisions, differences, what they cannot mean, and what a change would block."""
