"""Run by alembic, inside the transaction that opens the store."""

from __future__ import annotations

from alembic import context

from proxy.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
)
context.run_migrations()
