"""Farm rules: classes with trust, memory and disk, turns of owners, quarantine, maintenance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    for column in (
        sa.Column("emulates", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=True),
        sa.Column("disk_mb", sa.Integer(), nullable=True),
        sa.Column("streak", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quarantines", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quarantined_until", sa.BigInteger(), nullable=True),
        sa.Column("quarantine_reason", sa.Text(), nullable=True),
    ):
        op.add_column("agent", column)
    for column in (
        sa.Column("trust", sa.Integer(), server_default="0", nullable=False),
        sa.Column("memory_mb", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disk_mb", sa.Integer(), server_default="0", nullable=False),
        sa.Column("emulated", sa.Boolean(), server_default=sa.false(), nullable=False),
    ):
        op.add_column("job_class", column)
    for column in (
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("room_asked_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("job", column)
    op.create_index(
        "ix_job_turn", "job", ["class_id", "owner", "rank", "id"], postgresql_where=QUEUED, sqlite_where=QUEUED
    )
    op.create_table(
        "job_turn",
        sa.Column("class_id", BIG_ID, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("served_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["job_class.id"], name=op.f("fk_job_turn_class_id")),
        sa.PrimaryKeyConstraint("class_id", "owner", name=op.f("pk_job_turn")),
    )
    op.execute("INSERT INTO job_turn (class_id, owner, served_at) SELECT id, '', 0 FROM job_class")
    op.create_table(
        "pool",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trust", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pool")),
    )
    op.add_column("hub_heartbeat", sa.Column("maintenance", sa.Text(), nullable=True))
    op.add_column("target", sa.Column("requires", sa.JSON(), nullable=True))
