"""The append-only record: events, what is asked of it, its tables."""
