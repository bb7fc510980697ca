"""The append-only record: events, queries, tables."""
