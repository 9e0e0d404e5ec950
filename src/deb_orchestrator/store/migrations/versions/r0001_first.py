"""The first schema, as it was: never changed once released, whatever the tables become."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: 64 bits on both databases: SQLite wants the word INTEGER.
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pools", sa.JSON(), nullable=False),
        sa.Column("arches", sa.JSON(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'approved', 'revoked')", name=op.f("ck_agent_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent")),
        sa.UniqueConstraint("name", name=op.f("uq_agent_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_agent_token_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )
    op.create_table(
        "event",
        sa.Column("n", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("build", sa.BigInteger(), nullable=True),
        sa.Column("arch", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_event")),
    )
    op.create_index("ix_event_build_n", "event", ["build", "n"], unique=False)
    op.create_index("ix_event_request_n", "event", ["request", "n"], unique=False)
    op.create_table(
        "event_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_counter_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_counter")),
    )
    op.create_table(
        "hold",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "holder", name=op.f("pk_hold")),
    )
    op.create_index("ix_hold_until_at", "hold", ["until_at"], unique=False)
    op.create_table(
        "hub_heartbeat",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_hub_heartbeat_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_heartbeat")),
    )
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "index_block",
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("recipe", "sha256", name=op.f("pk_index_block")),
    )
    op.create_table(
        "job_class",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_class")),
        sa.UniqueConstraint("key", name=op.f("uq_job_class_key")),
    )
    op.create_table(
        "login_link",
        sa.Column("link_hash", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("link_hash", name=op.f("pk_login_link")),
    )
    op.create_table(
        "pool_file",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_pool_file")),
    )
    op.create_index("ix_pool_file_sha256", "pool_file", ["sha256"], unique=False)
    op.create_table(
        "publication_file",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("suite", "generation", "path", name=op.f("pk_publication_file")),
    )
    op.create_index("ix_publication_file_suite_sha256", "publication_file", ["suite", "sha256"], unique=False)
    op.create_table(
        "session",
        sa.Column("session_hash", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_session")),
    )
    op.create_table(
        "source",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("dsc_sha256", sa.Text(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("dsc_sha256", name=op.f("uq_source_dsc_sha256")),
    )
    op.create_index("ix_source_name_version", "source", ["name", "version"], unique=False)
    op.create_table(
        "source_package",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("version_key", sa.LargeBinary(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("stanza", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_package")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_source_package_name_version")),
    )
    op.create_table(
        "suite",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("codename", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("components", sa.JSON(), nullable=False),
        sa.Column("arches", sa.JSON(), nullable=False),
        sa.Column("valid_s", sa.Integer(), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("live", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_suite")),
    )
    op.create_table(
        "token",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("scope IN ('admin', 'client', 'signer')", name=op.f("ck_token_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_token_token_hash")),
    )
    op.create_table(
        "agent_boot",
        sa.Column("agent_id", BIG_ID, nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_agent_boot_agent_id")),
        sa.PrimaryKeyConstraint("agent_id", "boot_id", name=op.f("pk_agent_boot")),
    )
    op.create_table(
        "binary_package",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("version_key", sa.LargeBinary(), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_version", sa.Text(), nullable=False),
        sa.Column("source_version_key", sa.LargeBinary(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("stanza", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["path"], ["pool_file.path"], name=op.f("fk_binary_package_path")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binary_package")),
        sa.UniqueConstraint("name", "version", "arch", name=op.f("uq_binary_package_name_version_arch")),
    )
    op.create_index("ix_binary_package_source", "binary_package", ["source", "source_version"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("class_id", BIG_ID, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("unmet", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("agent_id", BIG_ID, nullable=True),
        sa.Column("grant_hash", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("cancel_asked_at", sa.BigInteger(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("result_hash", sa.Text(), nullable=True),
        sa.Column("parent_id", BIG_ID, nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("build_id", BIG_ID, nullable=True),
        sa.Column("arch", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_job_lease")),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)", name=op.f("ck_job_ended")
        ),
        sa.CheckConstraint(
            "state IN ('blocked', 'queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_job_state")
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_job_agent_id")),
        sa.ForeignKeyConstraint(["class_id"], ["job_class.id"], name=op.f("fk_job_class_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["job.id"], name=op.f("fk_job_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("key", name=op.f("uq_job_key")),
    )
    op.create_index("ix_job_build_id", "job", ["build_id"], unique=False)
    op.create_index(
        "ix_job_holder",
        "job",
        ["agent_id"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_job_lease",
        "job",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_job_parent_id", "job", ["parent_id"], unique=False)
    op.create_index(
        "ix_job_queue",
        "job",
        ["class_id", sa.literal_column("priority DESC"), "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_job_request_id", "job", ["request_id"], unique=False)
    op.create_table(
        "publication",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sign_job", sa.BigInteger(), nullable=True),
        sa.Column("release_sha256", sa.Text(), nullable=False),
        sa.Column("inrelease_sha256", sa.Text(), nullable=True),
        sa.Column("release_gpg_sha256", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("live_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state <> 'live' OR inrelease_sha256 IS NOT NULL", name=op.f("ck_publication_signed")),
        sa.CheckConstraint("state IN ('signing', 'live', 'superseded', 'refused')", name=op.f("ck_publication_state")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_publication_suite")),
        sa.PrimaryKeyConstraint("suite", "generation", name=op.f("pk_publication")),
    )
    op.create_index("ix_publication_sign_job", "publication", ["sign_job"], unique=False)
    op.create_index(
        "ux_publication_live",
        "publication",
        ["suite"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
        sqlite_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "source_file",
        sa.Column("source_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_source_file_sha256")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_source_file_source_id")),
        sa.PrimaryKeyConstraint("source_id", "name", name=op.f("pk_source_file")),
    )
    op.create_index("ix_source_file_sha256", "source_file", ["sha256"], unique=False)
    op.create_table(
        "suite_source",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("package_id", BIG_ID, nullable=False),
        sa.Column("created_event", sa.BigInteger(), nullable=False),
        sa.Column("revoked_event", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("revoked_event > created_event", name=op.f("ck_suite_source_order")),
        sa.ForeignKeyConstraint(["package_id"], ["source_package.id"], name=op.f("fk_suite_source_package_id")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_source_suite")),
        sa.PrimaryKeyConstraint("suite", "package_id", "created_event", name=op.f("pk_suite_source")),
    )
    op.create_index(
        "ux_suite_source_current",
        "suite_source",
        ["suite", "package_id"],
        unique=True,
        postgresql_where=sa.text("revoked_event IS NULL"),
        sqlite_where=sa.text("revoked_event IS NULL"),
    )
    op.create_table(
        "target",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("arches", sa.JSON(), nullable=False),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_target_suite")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_target")),
    )
    op.create_table(
        "job_attempt",
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("agent_id", BIG_ID, nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("claim_hash", sa.Text(), nullable=False),
        sa.Column("grant_salt", sa.Text(), nullable=False),
        sa.Column("grant_hash", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("result_hash", sa.Text(), nullable=True),
        sa.Column("reply", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_job_attempt_agent_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_attempt_job_id")),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("pk_job_attempt")),
        sa.UniqueConstraint("agent_id", "claim_hash", name=op.f("uq_job_attempt_agent_id_claim_hash")),
    )
    op.create_table(
        "job_dependency",
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("needs_id", BIG_ID, nullable=False),
        sa.CheckConstraint("needs_id < job_id", name=op.f("ck_job_dependency_order")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_dependency_job_id")),
        sa.ForeignKeyConstraint(["needs_id"], ["job.id"], name=op.f("fk_job_dependency_needs_id")),
        sa.PrimaryKeyConstraint("job_id", "needs_id", name=op.f("pk_job_dependency")),
    )
    op.create_index("ix_job_dependency_needs_id", "job_dependency", ["needs_id"], unique=False)
    op.create_table(
        "job_exclusion",
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("agent_id", BIG_ID, nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_job_exclusion_agent_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_exclusion_job_id")),
        sa.PrimaryKeyConstraint("job_id", "agent_id", name=op.f("pk_job_exclusion")),
    )
    op.create_table(
        "job_log",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("agent_id", BIG_ID, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_job_log_agent_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_log_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_log")),
    )
    op.create_index("ix_job_log_job_id_id", "job_log", ["job_id", "id"], unique=False)
    op.create_table(
        "job_wait",
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_wait_job_id")),
        sa.PrimaryKeyConstraint("job_id", "token", name=op.f("pk_job_wait")),
    )
    op.create_index("ix_job_wait_token", "job_wait", ["token"], unique=False)
    op.create_table(
        "request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'ready') = (event IS NOT NULL)", name=op.f("ck_request_event")),
        sa.CheckConstraint("state IN ('open', 'ready', 'failed', 'cancelled')", name=op.f("ck_request_state")),
        sa.ForeignKeyConstraint(["target"], ["target.name"], name=op.f("fk_request_target")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    op.create_index("ix_request_state", "request", ["state"], unique=False)
    op.create_table(
        "suite_binary",
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("package_id", BIG_ID, nullable=False),
        sa.Column("created_event", sa.BigInteger(), nullable=False),
        sa.Column("revoked_event", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("revoked_event > created_event", name=op.f("ck_suite_binary_order")),
        sa.ForeignKeyConstraint(["package_id"], ["binary_package.id"], name=op.f("fk_suite_binary_package_id")),
        sa.ForeignKeyConstraint(["suite"], ["suite.name"], name=op.f("fk_suite_binary_suite")),
        sa.PrimaryKeyConstraint("suite", "package_id", "created_event", name=op.f("pk_suite_binary")),
    )
    op.create_index(
        "ux_suite_binary_current",
        "suite_binary",
        ["suite", "package_id"],
        unique=True,
        postgresql_where=sa.text("revoked_event IS NULL"),
        sqlite_where=sa.text("revoked_event IS NULL"),
    )
    op.create_table(
        "build",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_id", BIG_ID, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("added_event", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["request.id"], name=op.f("fk_build_request")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_build_source_id")),
        sa.ForeignKeyConstraint(["target"], ["target.name"], name=op.f("fk_build_target")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build")),
    )
    op.create_index("ix_build_source_id", "build", ["source_id"], unique=False)
    op.create_index("ix_build_suite_added_event", "build", ["suite", "added_event"], unique=False)
    op.create_table(
        "log_segment",
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "attempt"],
            ["job_attempt.job_id", "job_attempt.attempt"],
            name=op.f("fk_log_segment_job_id_attempt"),
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", "start", name=op.f("pk_log_segment")),
    )
    op.create_table(
        "build_arch",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("build_id", BIG_ID, nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("job_id", BIG_ID, nullable=True),
        sa.Column("requested_attempt", sa.Integer(), nullable=False),
        sa.Column("ready_attempt", sa.Integer(), nullable=False),
        sa.Column("lock_sha256", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("log_sha256", sa.Text(), nullable=True),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name=op.f("fk_build_arch_build_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_build_arch_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build_arch")),
        sa.UniqueConstraint("build_id", "arch", name=op.f("uq_build_arch_build_id_arch")),
        sa.UniqueConstraint("job_id", name=op.f("uq_build_arch_job_id")),
    )
    op.create_table(
        "build_need",
        sa.Column("build_id", BIG_ID, nullable=False),
        sa.Column("needs_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name=op.f("fk_build_need_build_id")),
        sa.ForeignKeyConstraint(["needs_id"], ["build.id"], name=op.f("fk_build_need_needs_id")),
        sa.PrimaryKeyConstraint("build_id", "needs_id", name=op.f("pk_build_need")),
    )
    op.create_index("ix_build_need_needs_id", "build_need", ["needs_id"], unique=False)
    op.create_table(
        "request_build",
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("build_id", BIG_ID, nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name=op.f("fk_request_build_build_id")),
        sa.ForeignKeyConstraint(["request"], ["request.id"], name=op.f("fk_request_build_request")),
        sa.PrimaryKeyConstraint("request", "build_id", name=op.f("pk_request_build")),
    )
    op.create_index("ix_request_build_build_id", "request_build", ["build_id"], unique=False)
    op.create_table(
        "artifact",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("build_arch_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("package", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("arch", sa.Text(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["build_arch_id"], ["build_arch.id"], name=op.f("fk_artifact_build_arch_id")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_artifact_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
        sa.UniqueConstraint("build_arch_id", "name", name=op.f("uq_artifact_build_arch_id_name")),
    )
    op.create_index("ix_artifact_package", "artifact", ["package", "version", "arch"], unique=False)
    op.create_index("ix_artifact_sha256", "artifact", ["sha256"], unique=False)
