"""The admin API: what an operation is, who may call it, and what waits for a second person."""
