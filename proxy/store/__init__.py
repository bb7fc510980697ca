"""What must survive a restart: ledger, facts, journal, key book and revisions, on SQLAlchemy Core."""

from proxy.store.adoption import WouldBlock
from proxy.store.lease import Lease, StoredLeases
from proxy.store.opening import Store, open_store
from proxy.store.rules import RulesInForce

__all__ = ["Lease", "RulesInForce", "Store", "StoredLeases", "WouldBlock", "open_store"]
