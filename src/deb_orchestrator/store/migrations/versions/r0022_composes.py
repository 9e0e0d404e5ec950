"""Composes, and the packages of their images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "compose",
        sa.Column("n", big_id, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("packages", sa.Integer(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_compose")),
        sa.UniqueConstraint("id", name=op.f("uq_compose_id")),
    )
    op.create_table(
        "compose_package",
        sa.Column("compose_n", big_id, nullable=False),
        sa.Column("variant", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("build_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["compose_n"], ["compose.n"], name=op.f("fk_compose_package_compose_n")),
        sa.PrimaryKeyConstraint("compose_n", "variant", "name", "arch", "version", name=op.f("pk_compose_package")),
    )
    op.create_index("ix_compose_package_sha256", "compose_package", ["sha256"])
    op.create_index("ix_compose_package_build_id", "compose_package", ["build_id"])
