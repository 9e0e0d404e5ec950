"""Tables of jobs, the two logs and agents, and the one MetaData that tables_domain.py and tables_publish.py extend.

Times are integer milliseconds since the epoch (UTC), always from `store.clock.now`. Columns `_hash` hold
hexadecimal SHA-256. Only dispatch/moves.py writes `job.state`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

#: Constraint names must be predictable, so that later migrations can name them.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: 64 bits on both: SQLite's rowid is one only if the type is spelt INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


def at(name: str, *, nullable: bool = False) -> Column[int]:
    """A time: milliseconds since the epoch, UTC."""
    return Column(name, BigInteger, nullable=nullable)


#: A builder, signer or other claimant. `token_hash` is what it authenticates with; offers are JSON lists.
agent = Table(
    "agent",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("token_hash", Text, nullable=True, unique=True),
    Column("state", Text, nullable=False),  # pending | approved | revoked
    Column("pools", JSON, nullable=False, default=list),
    Column("arches", JSON, nullable=False, default=list),
    Column("capabilities", JSON, nullable=False, default=list),
    Column("slots", Integer, nullable=False, default=1),
    Column("facts", JSON, nullable=False, default=dict),  # host, kernel, tools and their job-api versions
    Column("paused_reason", Text, nullable=True),  # approved, but gets no new work
    at("created_at"),
    at("approved_at", nullable=True),
    at("seen_at", nullable=True),
    Column("emulates", JSON, nullable=False, server_default="[]"),  # architectures, by emulation
    Column("memory_mb", Integer, nullable=True),
    Column("disk_mb", Integer, nullable=True),  # free when it enrolled; a claim says it anew
    Column("streak", Integer, nullable=False, server_default="0"),  # host faults in a row
    Column("quarantines", Integer, nullable=False, server_default="0"),  # in a row
    at("quarantined_until", nullable=True),  # then a canary; null: in no quarantine
    Column("quarantine_reason", Text, nullable=True),
    CheckConstraint("state IN ('pending', 'approved', 'revoked')", name="state"),
)

#: Every boot an agent was ever seen in: a boot seen for the first time releases what it does not hold.
agent_boot = Table(
    "agent_boot",
    metadata,
    Column("agent_id", BigId, ForeignKey("agent.id"), primary_key=True),
    Column("boot_id", Text, primary_key=True),
    at("seen_at"),
)

#: A requirement class: `key` is the canonical form of pool, arch and capabilities.
job_class = Table(
    "job_class",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("pool", Text, nullable=False),
    Column("arch", Text, nullable=False),
    Column("capabilities", JSON, nullable=False),
    Column("trust", Integer, nullable=False, server_default="0"),
    Column("memory_mb", Integer, nullable=False, server_default="0"),
    Column("disk_mb", Integer, nullable=False, server_default="0"),
    Column("emulated", Boolean, nullable=False, server_default=sa.false()),
)

#: How far a pool is trusted; one without a row with 0.
pool = Table(
    "pool",
    metadata,
    Column("name", Text, primary_key=True),
    Column("trust", Integer, nullable=False),
)

#: The owners that have, or had, jobs of a class queued, and when each had its last turn. dispatch/turns.py.
job_turn = Table(
    "job_turn",
    metadata,
    Column("class_id", BigId, ForeignKey("job_class.id"), primary_key=True),
    Column("owner", Text, primary_key=True),
    at("served_at"),
)

job = Table(
    "job",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("class_id", BigId, ForeignKey("job_class.id"), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("spec", JSON, nullable=False),
    Column("key", Text, nullable=True, unique=True),
    Column("unmet", Integer, nullable=False, default=0),  # dependencies that have not yet succeeded
    Column("attempt", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0),  # lost leases and host faults
    Column("max_attempts", Integer, nullable=False),
    Column("agent_id", BigId, ForeignKey("agent.id"), nullable=True),  # of the current attempt
    Column("grant_hash", Text, nullable=True),  # of the current attempt, null once it has ended
    at("lease_until", nullable=True),
    at("cancel_asked_at", nullable=True),
    Column("cancel_reason", Text, nullable=True),
    Column("outcome", Text, nullable=True),
    Column("reason", Text, nullable=True),
    Column("result", JSON, nullable=True),
    Column("result_hash", Text, nullable=True),
    Column("parent_id", BigId, ForeignKey("job.id"), nullable=True),
    Column("request_id", Text, nullable=True),
    Column("build_id", BigId, nullable=True),
    Column("arch", Text, nullable=True),
    at("created_at"),
    at("changed_at"),
    at("ended_at", nullable=True),
    Column("owner", Text, nullable=False, server_default=""),
    Column("rank", BigInteger, nullable=False, server_default="0"),  # when it came, sooner for its priority (ms)
    at("room_asked_at", nullable=True),  # it shall be given back for one that is more urgent
    Column("trace", Text, nullable=True),  # W3C's trace id, of the call that asked for it
    CheckConstraint(
        "state IN ('blocked', 'queued', 'running', 'succeeded', 'failed', 'cancelled')",
        name="state",
    ),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint(
        "(state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
        name="ended",
    ),
)
#: For hubs of the last release; goes with the next.
Index(
    "ix_job_queue",
    job.c.class_id,
    job.c.priority.desc(),
    job.c.id,
    postgresql_where=sa.text("state = 'queued'"),
    sqlite_where=sa.text("state = 'queued'"),
)
Index(
    "ix_job_turn",
    job.c.class_id,
    job.c.owner,
    job.c.rank,
    job.c.id,
    postgresql_where=sa.text("state = 'queued'"),
    sqlite_where=sa.text("state = 'queued'"),
)
Index(
    "ix_job_lease",
    job.c.lease_until,
    postgresql_where=sa.text("state = 'running'"),
    sqlite_where=sa.text("state = 'running'"),
)
Index(
    "ix_job_holder",
    job.c.agent_id,
    postgresql_where=sa.text("state = 'running'"),
    sqlite_where=sa.text("state = 'running'"),
)
Index(
    "ix_job_open",
    job.c.state,
    job.c.class_id,
    postgresql_where=sa.text("ended_at IS NULL"),
    sqlite_where=sa.text("ended_at IS NULL"),
)
Index("ix_job_request_id", job.c.request_id)
Index("ix_job_build_id", job.c.build_id)
Index("ix_job_parent_id", job.c.parent_id)

#: `job_id` is blocked until `needs_id` succeeds. Always needs_id < job_id, so there are no cycles.
job_dependency = Table(
    "job_dependency",
    metadata,
    Column("job_id", BigId, ForeignKey("job.id"), primary_key=True),
    Column("needs_id", BigId, ForeignKey("job.id"), primary_key=True),
    CheckConstraint("needs_id < job_id", name="order"),
    Index("ix_job_dependency_needs_id", "needs_id"),
)

#: What a blocked job with unmet dependencies waits for; one token that comes releases it. `*` is any publication.
job_wait = Table(
    "job_wait",
    metadata,
    Column("job_id", BigId, ForeignKey("job.id"), primary_key=True),
    Column("token", Text, primary_key=True),
    Index("ix_job_wait_token", "token"),
)

#: A builder that broke this job keeps off it until then.
job_exclusion = Table(
    "job_exclusion",
    metadata,
    Column("job_id", BigId, ForeignKey("job.id"), primary_key=True),
    Column("agent_id", BigId, ForeignKey("agent.id"), primary_key=True),
    at("until_at"),
)

#: Who made each attempt, and the stored reply of its finish. The lease itself lives in the job's row.
job_attempt = Table(
    "job_attempt",
    metadata,
    Column("job_id", BigId, ForeignKey("job.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("agent_id", BigId, ForeignKey("agent.id"), nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("claim_hash", Text, nullable=False),
    Column("grant_salt", Text, nullable=False),
    Column("grant_hash", Text, nullable=False),
    at("claimed_at"),
    at("ended_at", nullable=True),
    Column("outcome", Text, nullable=True),
    Column("result_hash", Text, nullable=True),
    Column("reply", JSON, nullable=True),
    UniqueConstraint("agent_id", "claim_hash"),
)

#: One row per transition, ordered only within a job.
job_log = Table(
    "job_log",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("job_id", BigId, ForeignKey("job.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=True),  # state before; null for a new job
    Column("target", Text, nullable=False),
    Column("agent_id", BigId, ForeignKey("agent.id"), nullable=True),
    Column("reason", Text, nullable=True),
    at("at"),
    Index("ix_job_log_job_id_id", "job_id", "id"),
)

#: The live tail of an attempt's log: contiguous pieces by byte offset, until the whole log is an artifact.
log_segment = Table(
    "log_segment",
    metadata,
    Column("job_id", BigId, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True),  # byte offset of the first byte
    Column("size", Integer, nullable=False),  # bytes
    Column("data", LargeBinary, nullable=False),
    ForeignKeyConstraint(["job_id", "attempt"], ["job_attempt.job_id", "job_attempt.attempt"]),
)

#: Domain facts, never changed. `n` is gap-free and in commit order: see dispatch/events.py.
event = Table(
    "event",
    metadata,
    Column("n", BigId, primary_key=True, autoincrement=False),
    at("at"),
    Column("type", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("request", Text, nullable=True),
    Column("build", BigInteger, nullable=True),
    Column("arch", Text, nullable=True),
    Column("attempt", Integer, nullable=True),
    Column("job_id", BigInteger, nullable=True),
    Index("ix_event_request_n", "request", "n"),
    Index("ix_event_build_n", "build", "n"),
)

#: One row: the number of the last event.
event_counter = Table(
    "event_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one"),
)

#: One row: the oldest revision whose programs run on this schema. See store/migrate.py.
schema_floor = Table(
    "schema_floor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Text, nullable=False),
    CheckConstraint("id = 1", name="one"),
)

#: One row: when a hub was last known alive.
hub_heartbeat = Table(
    "hub_heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    at("beat_at"),
    Column("maintenance", Text, nullable=True),  # why no agent gets new work
    CheckConstraint("id = 1", name="one"),
)

#: Stored answers to requests that carried an Idempotency-Key.
idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    at("created_at"),
)
