"""Who uploads with dput, and what they sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "uploader",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("targets", sa.JSON(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_uploader")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_uploader_secret_hash")),
    )
    op.create_table(
        "upload",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("uploader", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (request IS NOT NULL)", name=op.f("ck_upload_request")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_upload_state")),
        sa.ForeignKeyConstraint(["uploader"], ["uploader.name"], name=op.f("fk_upload_uploader")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index("ix_upload_name", "upload", ["name"], unique=False)
    op.create_index("ix_upload_uploader_id", "upload", ["uploader", "id"], unique=False)
    op.create_table(
        "target_distribution",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("distribution", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["target.name"], name=op.f("fk_target_distribution_target")),
        sa.PrimaryKeyConstraint("target", "distribution", name=op.f("pk_target_distribution")),
    )
    op.create_table(
        "upload_file",
        sa.Column("uploader", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["target.name"], name=op.f("fk_upload_file_target")),
        sa.ForeignKeyConstraint(["uploader"], ["uploader.name"], name=op.f("fk_upload_file_uploader")),
        sa.PrimaryKeyConstraint("uploader", "target", "name", name=op.f("pk_upload_file")),
    )
