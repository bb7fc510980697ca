"""Run by alembic, inside the transaction that opens the store."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
# SQLite alters a table by copying it
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
