"""Targets may be cross-built, and their builds verified."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("target", sa.Column("cross", sa.JSON(), nullable=True))
    op.add_column("target", sa.Column("verify", sa.JSON(), nullable=True))
