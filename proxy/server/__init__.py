"""The composition root: everything one process holds while it serves."""
