"""Alembic's entry: runs on the connection that `Database.upgrade` opened."""

from __future__ import annotations

from alembic import context

from spinecare.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a column by writing its table anew
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
