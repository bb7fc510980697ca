"""The engine of what survives a restart: connections, tables, versions, leases; the ledger, facts and tags."""
