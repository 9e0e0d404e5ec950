"""Indexes for hubs with whole archives: open jobs, who holds a package, what changed after an event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

OPEN = sa.text("ended_at IS NULL")
CURRENT = sa.text("revoked_event IS NULL")


def upgrade() -> None:
    op.create_index("ix_job_open", "job", ["state", "class_id"], postgresql_where=OPEN, sqlite_where=OPEN)
    for table in ("suite_source", "suite_binary"):
        columns = ["package_id", "suite"]
        op.create_index(f"ix_{table}_holder", table, columns, postgresql_where=CURRENT, sqlite_where=CURRENT)
        op.create_index(f"ix_{table}_come", table, ["suite", "created_event"])
        op.create_index(f"ix_{table}_gone", table, ["suite", "revoked_event"])
