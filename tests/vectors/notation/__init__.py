"""What the real notation writes: each envelope, with each kind of key."""
