"""Tables of composes, on the MetaData of store/tables.py."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from deb_orchestrator.store.tables import BigId, at, metadata

#: A compose as it was last told. `document`: debcore.hub.composes.ComposeAsk, its variants without packages.
compose = Table(
    "compose",
    metadata,
    Column("n", BigId, primary_key=True),  # the order in which they were first told of
    Column("id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("packages", Integer, nullable=False),  # how many
    Column("principal", Text, nullable=False),
    at("told_at"),
)

#: The packages of its images. `sha256` and `build_id` only of those that the hub has built, and the teller may see.
compose_package = Table(
    "compose_package",
    metadata,
    Column("compose_n", BigId, ForeignKey("compose.n"), primary_key=True),
    Column("variant", Integer, primary_key=True),  # its place in `document`
    Column("name", Text, primary_key=True),
    Column("arch", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("sha256", Text, nullable=True),
    Column("build_id", BigInteger, nullable=True),
    Index("ix_compose_package_sha256", "sha256"),
    Index("ix_compose_package_build_id", "build_id"),
)
