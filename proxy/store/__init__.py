"""What must survive a restart: ledger, facts, journal, key book and revisions, on SQLAlchemy Core."""
