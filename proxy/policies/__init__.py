"""Policies: their revisions, differences and lint findings, and the impact of a change."""
