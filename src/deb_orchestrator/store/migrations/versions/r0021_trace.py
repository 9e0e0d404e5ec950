"""The trace that a request and a job belong to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for table in ("job", "request"):
        op.add_column(table, sa.Column("trace", sa.Text(), nullable=True))
