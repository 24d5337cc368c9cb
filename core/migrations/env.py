"""Alembic's entry point: runs on the connection that `core.migration.migrate` holds."""

from __future__ import annotations

from alembic import context

import core.order_tables  # noqa: F401  its tables join the metadata
from core.migration import alembic_options
from core.tables import Base

connection = context.config.attributes["connection"]
context.configure(target_metadata=Base.metadata, **alembic_options(connection))
with context.begin_transaction():
    context.run_migrations()
