"""Targets may build against another suite than the one that they build for; scratch builds are in none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("target", sa.Column("build_suite", sa.Text(), nullable=True))
    op.add_column("build", sa.Column("scratch", sa.Boolean(), server_default=sa.false(), nullable=False))
