"""Builds may be binNMUs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("build", sa.Column("binnmu", sa.Integer(), nullable=True))
    op.add_column("build", sa.Column("entry", sa.JSON(), nullable=True))
