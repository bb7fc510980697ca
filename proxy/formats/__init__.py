"""How belief is written down: one file per signature format. Pure."""
