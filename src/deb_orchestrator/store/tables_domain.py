"""Tables of requests, builds, uploads, tokens and the audit log, on the MetaData of store/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
)
from sqlalchemy.schema import ExecutableDDLElement

from deb_orchestrator.store.tables import BigId, at, metadata

#: A file the hub has, or had until `gone_at`. The row comes after the bytes are synced. services/uses.py says what
#: keeps it.
blob = Table(
    "blob",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),  # bytes
    at("created_at"),
    at("gone_at", nullable=True),
)

#: Taken before the bytes come, so that nothing is collected between upload and use.
hold = Table(
    "hold",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("holder", Text, primary_key=True),  # `token N` or `job N`
    at("until_at"),
    Column("sent", Boolean, nullable=False, default=False, server_default=false()),  # the holder has sent the bytes
    Index("ix_hold_until_at", "until_at"),
)

target = Table(
    "target",
    metadata,
    Column("name", Text, primary_key=True),
    Column("preset", Text, nullable=False),
    Column("suite", Text, ForeignKey("suite.name"), nullable=False),
    Column("arches", JSON, nullable=False),
    Column("profiles", JSON, nullable=False, default=list),
    Column("options", JSON, nullable=False, default=list),
    at("created_at"),
    Column("build_suite", Text, nullable=True),  # that builds see; null: `suite`
    Column("cross", JSON, nullable=True),  # architecture → that of its builders
    Column("verify", JSON, nullable=True),  # debcore.job.Verify
    Column("checks", JSON(none_as_null=True), nullable=True),  # debcore.hub.checks.CheckPlan
    Column("requires", JSON(none_as_null=True), nullable=True),  # debcore.hub.hosts.Requires
)

#: A source package as its .dsc says, opened once. `fields` are the .dsc's.
source = Table(
    "source",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("dsc_sha256", Text, nullable=False, unique=True),
    Column("fields", JSON, nullable=False),
    at("created_at"),
    Index("ix_source_name_version", "name", "version"),
)

source_file = Table(
    "source_file",
    metadata,
    Column("source_id", BigId, ForeignKey("source.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, ForeignKey("blob.sha256"), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Index("ix_source_file_sha256", "sha256"),
)

#: Message 1. `id` is the hash of `content`; `state` is open | ready | failed | cancelled.
request = Table(
    "request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target", Text, ForeignKey("target.name"), nullable=False),
    Column("content", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("event", BigInteger, nullable=True),  # number of packages.ready
    Column("failures", JSON, nullable=False, default=list),
    Column("principal", Text, nullable=False),
    at("created_at"),
    at("ended_at", nullable=True),
    Column("trace", Text, nullable=True),  # of the call that asked last
    CheckConstraint("state IN ('open', 'ready', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'ready') = (event IS NOT NULL)", name="event"),
    Index("ix_request_state", "state"),
)

#: One source for one target. `added_event`: the suite holds its packages as of there. `suite` is where it goes.
build = Table(
    "build",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("source_id", BigId, ForeignKey("source.id"), nullable=False),
    Column("target", Text, ForeignKey("target.name"), nullable=False),
    Column("suite", Text, nullable=False),
    Column("request", Text, ForeignKey("request.id"), nullable=False),  # that asked first
    Column("cancelled", Boolean, nullable=False, default=False),
    Column("added_event", BigInteger, nullable=True),
    at("created_at"),
    Column("scratch", Boolean, nullable=False, default=False, server_default=false()),  # no suite will have it
    Column("binnmu", Integer, nullable=True),  # N of +bN; null: the source as it is
    Column("entry", JSON, nullable=True),  # debcore.job.BinNmu
    Index("ix_build_source_id", "source_id"),
    Index("ix_build_suite_added_event", "suite", "added_event"),
)

#: `build_id` is not started before `needs_id` is installed.
build_need = Table(
    "build_need",
    metadata,
    Column("build_id", BigId, ForeignKey("build.id"), primary_key=True),
    Column("needs_id", BigId, ForeignKey("build.id"), primary_key=True),
    Index("ix_build_need_needs_id", "needs_id"),
)

#: The builds that answer a request. `reused`: it was there, or under way, when this request came.
request_build = Table(
    "request_build",
    metadata,
    Column("request", Text, ForeignKey("request.id"), primary_key=True),
    Column("build_id", BigId, ForeignKey("build.id"), primary_key=True),
    Column("reused", Boolean, nullable=False),
    Index("ix_request_build_build_id", "build_id"),
)

#: One architecture of a build. Its wanna-build state is a function of this row, its job and the suite.
build_arch = Table(
    "build_arch",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("build_id", BigId, ForeignKey("build.id"), nullable=False),
    Column("arch", Text, nullable=False),
    Column("mode", Text, nullable=False),  # debcore.job.Target.build
    Column("job_id", BigId, ForeignKey("job.id"), nullable=True, unique=True),
    Column("requested_attempt", Integer, nullable=False, default=0),  # last one told by build.requested
    Column("ready_attempt", Integer, nullable=False, default=0),  # last one told by environment.ready
    Column("lock_sha256", Text, nullable=True),  # of that attempt's lock
    Column("result", JSON, nullable=True),  # the accepted one
    Column("log_sha256", Text, nullable=True),  # the whole log, once the attempt is finished
    Column("imported", Boolean, nullable=False, default=False),
    Column("refused", Text, nullable=True),  # why its artifacts were not accepted
    Column("solved", JSON(none_as_null=True), nullable=True),  # what the solver said last: services/solving.py
    UniqueConstraint("build_id", "arch"),
)

artifact = Table(
    "artifact",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("build_arch_id", BigId, ForeignKey("build_arch.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sha256", Text, ForeignKey("blob.sha256"), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("package", Text, nullable=True),
    Column("version", Text, nullable=True),
    Column("arch", Text, nullable=True),
    Column("fields", JSON, nullable=True),  # of a .deb's control
    UniqueConstraint("build_arch_id", "name"),
    Index("ix_artifact_sha256", "sha256"),
    Index("ix_artifact_package", "package", "version", "arch"),
)

#: An order to check one architecture of a build. Its state is a function of this row and its job.
build_check = Table(
    "build_check",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("build_arch_id", BigId, ForeignKey("build_arch.id"), nullable=False),
    Column("job_id", BigId, ForeignKey("job.id"), nullable=False, unique=True),
    Column("names", JSON, nullable=False),  # []: all
    Column("gate", Boolean, nullable=False),  # the newest such order of each architecture decides
    Column("principal", Text, nullable=False),
    Column("result", JSON(none_as_null=True), nullable=True),  # the accepted one
    at("created_at"),
    Column("policy_sha256", Text, nullable=True),
    Index("ix_build_check_build_arch_id", "build_arch_id"),
    Index("ix_build_check_policy_sha256", "policy_sha256"),
)

#: Of people and programs other than agents (whose tokens stand in `agent`). Only hashes are kept.
token = Table(
    "token",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    at("created_at"),
    at("expires_at"),
    at("revoked_at", nullable=True),
    CheckConstraint("scope IN ('admin', 'client', 'signer')", name="scope"),
)

#: A URL that signs one browser in, once.
login_link = Table(
    "login_link",
    metadata,
    Column("link_hash", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("principal", Text, nullable=False),
    at("expires_at"),
    at("used_at", nullable=True),
)

#: A signed-in browser. `csrf` guards its forms.
session = Table(
    "session",
    metadata,
    Column("session_hash", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    at("created_at"),
    at("expires_at"),
)

#: Who did what; only ever appended.
audit = Table(
    "audit",
    metadata,
    Column("id", BigId, primary_key=True),
    at("at"),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", JSON, nullable=False),
)


def _keep_audit() -> tuple[tuple[str, str], ...]:
    """(dialect, statement) that make the database refuse to change a line of the audit log, or to drop one."""
    words = "the audit log is only appended to"
    sqlite = tuple(
        (
            "sqlite",
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, '{words}'); END",
        )
        for verb in ("UPDATE", "DELETE")
    )
    function = (
        "CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{words}'; END $$"
    )
    trigger = "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit()"
    return (*sqlite, ("postgresql", function), ("postgresql", trigger))


KEEP_AUDIT = _keep_audit()
for _dialect, _statement in KEEP_AUDIT:
    _ddl: ExecutableDDLElement = DDL(_statement)  # type: ignore[no-untyped-call]  # SQLAlchemy has no type for it
    event.listen(audit, "after_create", _ddl.execute_if(dialect=_dialect))
