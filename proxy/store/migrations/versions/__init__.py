"""One file per step. A released step is never edited: add another, and set tables.HEAD."""
