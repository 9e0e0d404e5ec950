"""Tables of what suites inherit and which packages they take, on the MetaData of store/tables.py.

Both are versioned by event as memberships are: a row counts at event N if `created_event` ≤ N and (`revoked_event` is
null or > N). So what a suite was at any past event is a query, its inheritance and its package list included.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text

from deb_orchestrator.store.tables import at, metadata

_CURRENT = text("revoked_event IS NULL")

#: `suite` inherits from `parent`; the lowest `priority` is asked first. services/suites.py refuses loops.
suite_parent = Table(
    "suite_parent",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("parent", Text, ForeignKey("suite.name"), primary_key=True),
    Column("created_event", BigInteger, primary_key=True),
    Column("priority", Integer, nullable=False),
    Column("revoked_event", BigInteger, nullable=True),
    CheckConstraint("revoked_event > created_event", name="order"),
    CheckConstraint("suite <> parent", name="itself"),
    Index(
        "ux_suite_parent_current",
        "suite",
        "priority",
        unique=True,
        postgresql_where=_CURRENT,
        sqlite_where=_CURRENT,
    ),
    Index("ix_suite_parent_parent", "parent"),
)

#: The package list: what the suite and those that inherit from it take of a source. `*` is every source without a rule.
suite_rule = Table(
    "suite_rule",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("created_event", BigInteger, primary_key=True),
    Column("state", Text, nullable=False),
    Column("owner", Text, nullable=False, default=""),
    Column("revoked_event", BigInteger, nullable=True),
    CheckConstraint("state IN ('allowed', 'blocked')", name="state"),
    CheckConstraint("revoked_event > created_event", name="order"),
    Index(
        "ux_suite_rule_current",
        "suite",
        "source",
        unique=True,
        postgresql_where=_CURRENT,
        sqlite_where=_CURRENT,
    ),
)

#: An outside archive below a suite: what builds that see the suite find in the root's own sources. It is not versioned:
#: what the solver saw of it is named by the hashes of its Release files (`build_arch.solved`).
suite_archive = Table(
    "suite_archive",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("sources", JSON, nullable=False),  # list of debcore.job.AptSource
    at("looked_at", nullable=True),  # last time that somebody who waits had it looked at
)
