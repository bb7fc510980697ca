"""The composition root: builds and holds all parts of one serving process."""
