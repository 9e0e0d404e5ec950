"""What suites publish besides their indexes, and what their owners chose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "deb_contents",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("paths", sa.LargeBinary(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_deb_contents")),
    )
    op.create_table(
        "suite_followed",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_followed_suite")),
        sa.PrimaryKeyConstraint("suite", name=op.f("pk_suite_followed")),
    )
    op.create_table(
        "suite_follower",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("of_sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_follower_suite")),
        sa.PrimaryKeyConstraint("suite", "path", name=op.f("pk_suite_follower")),
    )
    op.create_table(
        "suite_setting",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_setting_suite")),
        sa.PrimaryKeyConstraint("suite", "name", name=op.f("pk_suite_setting")),
    )
