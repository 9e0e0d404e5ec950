"""A solver decides before dispatch whether build dependencies can be met."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("build_arch", sa.Column("solved", sa.JSON(), nullable=True))
    op.create_table(
        "suite_archive",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_archive_suite")),
        sa.PrimaryKeyConstraint("suite", name=op.f("pk_suite_archive")),
    )
