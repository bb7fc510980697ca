"""The history of the tables, one step per file in versions/; run when a store is opened."""
