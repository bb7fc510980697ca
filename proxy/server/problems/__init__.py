"""What does not work now, or ends soon: found, told, and shown the same everywhere."""
