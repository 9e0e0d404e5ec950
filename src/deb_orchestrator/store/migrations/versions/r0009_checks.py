"""Builds are checked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("target", sa.Column("checks", sa.JSON(), nullable=True))
    op.create_table(
        "build_check",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("build_arch_id", BIG_ID, nullable=False),
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("gate", sa.Boolean(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_arch_id"], ["build_arch.id"], name=op.f("fk_build_check_build_arch_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_build_check_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build_check")),
        sa.UniqueConstraint("job_id", name=op.f("uq_build_check_job_id")),
    )
    op.create_index(op.f("ix_build_check_build_arch_id"), "build_check", ["build_arch_id"])
