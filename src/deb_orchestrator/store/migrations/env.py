"""Run by Alembic inside the one transaction that `store.migrate.migrate` opened."""

from __future__ import annotations

from alembic import context

from deb_orchestrator.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
