"""Roles, credentials of apt, and an audit log that is only appended to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_WORDS = "the audit log is only appended to"
_KEEP_AUDIT = (
    (
        "sqlite",
        f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END",
    ),
    (
        "sqlite",
        f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END",
    ),
    (
        "postgresql",
        "CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_WORDS}'; END $$",
    ),
    (
        "postgresql",
        "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit()",
    ),
)


def upgrade() -> None:
    op.create_table(
        "apt_credential",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_apt_credential_suite")),
        sa.PrimaryKeyConstraint("suite", "name", name=op.f("pk_apt_credential")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_apt_credential_secret_hash")),
    )
    op.create_table(
        "suite_role",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('manager', 'reader')", name=op.f("ck_suite_role_role")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_role_suite")),
        sa.PrimaryKeyConstraint("suite", "principal", name=op.f("pk_suite_role")),
    )
    for dialect, statement in _KEEP_AUDIT:
        if op.get_bind().dialect.name == dialect:
            op.execute(statement)
