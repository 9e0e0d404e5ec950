"""Suites have several keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "suite_key",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state = 'asked' OR public_key IS NOT NULL", name=op.f("ck_suite_key_known")),
        sa.CheckConstraint("state IN ('asked', 'signing', 'retired')", name=op.f("ck_suite_key_state")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_key_suite")),
        sa.PrimaryKeyConstraint("suite", "number", name=op.f("pk_suite_key")),
    )
    op.execute(
        sa.text(
            "INSERT INTO suite_key (suite, number, state, public_key, fingerprint, created_at)"
            " SELECT name, 1, 'signing', public_key, fingerprint, created_at FROM suite"
            " WHERE public_key IS NOT NULL AND name NOT LIKE '%@%'"
        )
    )
