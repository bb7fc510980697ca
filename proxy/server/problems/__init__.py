"""Present problems and approaching expiries: detected, reported, and shown the same way everywhere."""
