"""Tables of suites, packages and publications, on the MetaData of store/tables.py.

A package's stanza is stored when it is imported and never changes. What a suite holds is versioned by event:
a row is in the suite at event N if `created_event` ≤ N and (`revoked_event` is null or > N).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from deb_orchestrator.store.tables import BigId, at, metadata

#: `live` is the generation that is served, 0 before the first; only services/publish.py moves it, and only up.
suite = Table(
    "suite",
    metadata,
    Column("name", Text, primary_key=True),
    Column("codename", Text, nullable=False),
    Column("origin", Text, nullable=False, default=""),
    Column("label", Text, nullable=False, default=""),
    Column("description", Text, nullable=False, default=""),
    Column("components", JSON, nullable=False),
    Column("arches", JSON, nullable=False),
    Column("valid_s", Integer, nullable=True),  # seconds from Date to Valid-Until; null: no end
    Column("public_key", Text, nullable=True),  # all that sign, armoured; null until the signer has answered
    Column("fingerprint", Text, nullable=True),  # of the newest that signs
    Column("live", BigInteger, nullable=False, default=0),
    at("created_at"),
)

#: One content under one path, for ever and for all suites.
pool_file = Table(
    "pool_file",
    metadata,
    Column("path", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Index("ix_pool_file_sha256", "sha256"),
)

source_package = Table(
    "source_package",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("version_key", LargeBinary, nullable=False),  # debcore.version: sorts as dpkg does
    Column("component", Text, nullable=False),
    Column("sha256", Text, nullable=False),  # of the .dsc
    Column("stanza", Text, nullable=False),
    UniqueConstraint("name", "version"),
    Index("ix_source_package_sha256", "sha256"),
)

binary_package = Table(
    "binary_package",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("version_key", LargeBinary, nullable=False),
    Column("arch", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", Text, nullable=False),
    Column("source_version_key", LargeBinary, nullable=False),
    Column("component", Text, nullable=False),
    Column("path", Text, ForeignKey("pool_file.path"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("stanza", Text, nullable=False),
    UniqueConstraint("name", "version", "arch"),
    Index("ix_binary_package_source", "source", "source_version"),
    Index("ix_binary_package_sha256", "sha256"),
)


def _membership(kind: str) -> Table:
    name = f"suite_{kind}"
    return Table(
        name,
        metadata,
        Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
        Column("package_id", BigId, ForeignKey(f"{kind}_package.id"), primary_key=True),
        Column("created_event", BigInteger, primary_key=True),
        Column("revoked_event", BigInteger, nullable=True),
        CheckConstraint("revoked_event > created_event", name="order"),
        Index(f"ix_{name}_package_id", "package_id"),
        Index(
            f"ux_{name}_current",
            "suite",
            "package_id",
            unique=True,
            postgresql_where=text("revoked_event IS NULL"),
            sqlite_where=text("revoked_event IS NULL"),
        ),
        Index(
            f"ix_{name}_holder",
            "package_id",
            "suite",
            postgresql_where=text("revoked_event IS NULL"),
            sqlite_where=text("revoked_event IS NULL"),
        ),
        Index(f"ix_{name}_come", "suite", "created_event"),
        Index(f"ix_{name}_gone", "suite", "revoked_event"),
    )


suite_source = _membership("source")
suite_binary = _membership("binary")

#: One attempt to publish a suite. `signing → live → superseded`, or `signing → refused`.
publication = Table(
    "publication",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("event", BigInteger, nullable=False),  # the suite's content as of this event
    Column("state", Text, nullable=False),
    Column("sign_job", BigInteger, nullable=True),  # null: signed in this process
    Column("release_sha256", Text, nullable=False),
    Column("inrelease_sha256", Text, nullable=True),
    Column("release_gpg_sha256", Text, nullable=True),
    Column("reason", Text, nullable=True),  # of a refusal
    at("created_at"),
    at("live_at", nullable=True),
    CheckConstraint("state IN ('signing', 'live', 'superseded', 'refused')", name="state"),
    CheckConstraint("state <> 'live' OR inrelease_sha256 IS NOT NULL", name="signed"),
    Index("ix_publication_sign_job", "sign_job"),
    Index("ix_publication_release_sha256", "release_sha256"),
    Index("ix_publication_inrelease_sha256", "inrelease_sha256"),
    Index("ix_publication_release_gpg_sha256", "release_gpg_sha256"),
    Index(
        "ux_publication_live",
        "suite",
        unique=True,
        postgresql_where=text("state = 'live'"),
        sqlite_where=text("state = 'live'"),
    ),
)

#: What a publication's Release lists. `served` is false for plain forms, which exist as a hash only.
publication_file = Table(
    "publication_file",
    metadata,
    Column("suite", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("path", Text, primary_key=True),  # below dists/SUITE
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("served", Boolean, nullable=False),
    Index("ix_publication_file_suite_sha256", "suite", "sha256"),
    Index("ix_publication_file_sha256", "sha256"),
)

#: The keys of a suite, by which all of its snapshots are signed too. `asked → signing → retired`.
suite_key = Table(
    "suite_key",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1; the signer's name of it follows from both
    Column("state", Text, nullable=False),
    Column("public_key", Text, nullable=True),  # armoured
    Column("fingerprint", Text, nullable=True),
    at("created_at"),
    at("retired_at", nullable=True),
    CheckConstraint("state IN ('asked', 'signing', 'retired')", name="state"),
    CheckConstraint("state = 'asked' OR public_key IS NOT NULL", name="known"),
)

#: A suite as it was at an event, published as a suite of its own: NAME@EVENT, which takes no packages.
suite_snapshot = Table(
    "suite_snapshot",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),  # NAME@EVENT
    Column("base", Text, ForeignKey("suite.name"), nullable=False),
    Column("event", BigInteger, nullable=False),
    at("created_at", nullable=True),  # null: before there was this column
    UniqueConstraint("base", "event"),
)

#: What a suite's owner chose, one row each; debcore.hub.model.SuiteSettings says what there is and the defaults.
suite_setting = Table(
    "suite_setting",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)

#: Files that follow a publication (Contents, Translation, xz): the next generations list them until newer ones come.
#: `of_sha256`: the plain index that it is a form of; it goes into no generation with another one.
suite_follower = Table(
    "suite_follower",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("path", Text, primary_key=True),  # below dists/SUITE
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("of_sha256", Text, nullable=True),
)

#: The newest event whose content the followers of a suite describe.
suite_followed = Table(
    "suite_followed",
    metadata,
    Column("suite", Text, ForeignKey("suite.name"), primary_key=True),
    Column("event", BigInteger, nullable=False),
)

#: What a .deb installs: its paths, a line each, as one zstd frame. `fault`: why that could not be read.
deb_contents = Table(
    "deb_contents",
    metadata,
    Column("sha256", Text, primary_key=True),  # of the .deb
    Column("paths", LargeBinary, nullable=False),
    Column("fault", Text, nullable=True),
)

#: Compressed pieces of indexes by content: a cache, so any row may go at any time.
index_block = Table(
    "index_block",
    metadata,
    Column("recipe", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),  # of the plain piece
    Column("data", LargeBinary, nullable=False),
    at("used_at"),
)
