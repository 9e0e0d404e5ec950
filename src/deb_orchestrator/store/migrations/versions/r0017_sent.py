"""Who has sent a blob may read it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("hold", sa.Column("sent", sa.Boolean(), nullable=False, server_default=sa.false()))
