"""Tables of what is kept and what goes, on the MetaData of store/tables.py. See services/collect.py."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Table, Text

from deb_orchestrator.store.tables import BigId, at, metadata

#: Files that somebody wants kept, such as those of an image.
pin = Table(
    "pin",
    metadata,
    Column("name", Text, primary_key=True),
    Column("note", Text, nullable=False, default=""),
    Column("principal", Text, nullable=False),
    at("created_at"),
)

pin_file = Table(
    "pin_file",
    metadata,
    Column("pin", Text, ForeignKey("pin.name"), primary_key=True),
    Column("sha256", Text, ForeignKey("blob.sha256"), primary_key=True),
    Column("label", Text, nullable=False),
    Index("ix_pin_file_sha256", "sha256"),
)

#: Blobs that nothing used when they were marked. Who is about to use one takes its row away first.
doomed = Table(
    "doomed",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),  # bytes
    at("marked_at"),
    Index("ix_doomed_marked_at", "marked_at"),
)

#: What builds and checks left, whatever became of them. `kind`: debcore.job.Output.kind, or `lock`.
result_file = Table(
    "result_file",
    metadata,
    Column("build_arch_id", BigId, ForeignKey("build_arch.id"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Index("ix_result_file_sha256", "sha256"),
)

#: The admin's choices, one row each; debcore.hub.upkeep.Retention says what there is and the defaults.
retention = Table(
    "retention",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON(none_as_null=False), nullable=False),
)
