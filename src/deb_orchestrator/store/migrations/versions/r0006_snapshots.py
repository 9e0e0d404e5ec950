"""Suites as they were at an event, as repositories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "suite_snapshot",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["base"], ["suite.name"], name=op.f("fk_suite_snapshot_base")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_snapshot_suite")),
        sa.PrimaryKeyConstraint("suite", name=op.f("pk_suite_snapshot")),
        sa.UniqueConstraint("base", "event", name=op.f("uq_suite_snapshot_base_event")),
    )
