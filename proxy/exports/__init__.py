"""Exports of our keys for other verifiers, in each tool's format. Pure; one file per tool."""
