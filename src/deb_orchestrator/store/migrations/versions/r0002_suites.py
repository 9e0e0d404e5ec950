"""Suites inherit from each other and have package lists, both by event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "suite_parent",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("created_event", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("revoked_event", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("revoked_event > created_event", name=op.f("ck_suite_parent_order")),
        sa.CheckConstraint("suite <> parent", name=op.f("ck_suite_parent_itself")),
        sa.ForeignKeyConstraint(["parent"], ["suite.name"], name=op.f("fk_suite_parent_parent")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_parent_suite")),
        sa.PrimaryKeyConstraint("suite", "parent", "created_event", name=op.f("pk_suite_parent")),
    )
    op.create_index("ix_suite_parent_parent", "suite_parent", ["parent"], unique=False)
    op.create_index(
        "ux_suite_parent_current",
        "suite_parent",
        ["suite", "priority"],
        unique=True,
        postgresql_where=sa.text("revoked_event IS NULL"),
        sqlite_where=sa.text("revoked_event IS NULL"),
    )
    op.create_table(
        "suite_rule",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_event", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("revoked_event", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('allowed', 'blocked')", name=op.f("ck_suite_rule_state")),
        sa.CheckConstraint("revoked_event > created_event", name=op.f("ck_suite_rule_order")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_rule_suite")),
        sa.PrimaryKeyConstraint("suite", "source", "created_event", name=op.f("pk_suite_rule")),
    )
    op.create_index(
        "ux_suite_rule_current",
        "suite_rule",
        ["suite", "source"],
        unique=True,
        postgresql_where=sa.text("revoked_event IS NULL"),
        sqlite_where=sa.text("revoked_event IS NULL"),
    )
