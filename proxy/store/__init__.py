"""Persistent state: connections, tables, versions, leases; the ledger, facts and tags."""
