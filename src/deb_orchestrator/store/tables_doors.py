"""Tables of the ways in: who uploads with dput and what they sent, on the MetaData of store/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from deb_orchestrator.store.tables import BigId, at, metadata

#: Who may upload. `secret_hash` lets files in, the key says whose they are. `targets` []: all.
uploader = Table(
    "uploader",
    metadata,
    Column("name", Text, primary_key=True),
    Column("certificate", Text, nullable=False),  # armoured, one or several
    Column("fingerprint", Text, nullable=False),  # of the first
    Column("targets", JSON, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    at("created_at"),
    at("expires_at"),
    at("revoked_at", nullable=True),
)

#: A file that came and that no .changes has named yet. Its content is the blob `sha256`, held for the uploader.
upload_file = Table(
    "upload_file",
    metadata,
    Column("uploader", Text, ForeignKey("uploader.name"), primary_key=True),
    Column("target", Text, ForeignKey("target.name"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    at("at"),
)

#: What became of a .changes. An accepted one asked for `request`; a rejected one changed nothing but this row.
upload = Table(
    "upload",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("uploader", Text, ForeignKey("uploader.name"), nullable=False),
    Column("target", Text, nullable=False),
    Column("name", Text, nullable=False),  # of the .changes
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=True),
    Column("version", Text, nullable=True),
    Column("reason", Text, nullable=False, default=""),
    Column("request", Text, nullable=True),
    at("at"),
    CheckConstraint("state IN ('accepted', 'rejected')", name="state"),
    CheckConstraint("(state = 'accepted') = (request IS NOT NULL)", name="request"),
    Index("ix_upload_name", "name"),
    Index("ix_upload_uploader_id", "uploader", "id"),
)

#: Beside its own name and its suite's, what the field Distribution of an upload for this target may say.
target_distribution = Table(
    "target_distribution",
    metadata,
    Column("target", Text, ForeignKey("target.name"), primary_key=True),
    Column("distribution", Text, primary_key=True),
)

#: Calls with an idempotency key that have done something. `status` and `body` are the answer, once it was given.
once = Table(
    "once",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=True),
    Column("body", Text, nullable=True),  # null: it held a secret
    at("at"),
    Index("ix_once_at", "at"),
)

#: Who is told of events. `after`: the last event for which deliveries were made. `types` []: all.
webhook = Table(
    "webhook",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # signs what is sent: no hash would do
    Column("types", JSON, nullable=False),
    Column("source", Text, nullable=False),  # the hub's URL, as it was called when this was made
    Column("after", BigInteger, nullable=False),
    at("created_at"),
)

#: One event for one webhook. `next_at`: when it is tried next; while it is being sent, when to think it lost.
delivery = Table(
    "delivery",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("webhook", Text, ForeignKey("webhook.name"), nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("status", Integer, nullable=True),  # of the last answer
    Column("error", Text, nullable=False, default=""),
    at("next_at"),
    at("created_at"),
    at("ended_at", nullable=True),
    UniqueConstraint("webhook", "event"),
    CheckConstraint("state IN ('pending', 'delivered', 'dead')", name="state"),
    Index("ix_delivery_state_next_at", "state", "next_at"),
)

#: What somebody who is no admin may do with one suite: `manager` changes it, `reader` reads it although it is private.
suite_role = Table(
    "suite_role",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("principal", Text, primary_key=True),  # the name of tokens, and of sessions made with them
    Column("role", Text, nullable=False),
    CheckConstraint("role IN ('manager', 'reader')", name="role"),
)

#: By which apt reads a private suite: user name and password (kept as a hash).
apt_credential = Table(
    "apt_credential",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False, unique=True),
    at("created_at"),
    at("expires_at"),
)

#: A branch that is built when it moves. `head`: the last commit that was looked at; `asked_at`: its host called.
trigger = Table(
    "trigger",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("target", Text, ForeignKey("target.name"), nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("poll_s", Integer, nullable=True),  # null: only when its host calls
    Column("head", Text, nullable=False, default=""),
    Column("request", Text, nullable=True),  # that the last new commit became
    Column("error", Text, nullable=False, default=""),
    at("asked_at", nullable=True),
    at("looked_at", nullable=True),
    at("created_at"),
)
