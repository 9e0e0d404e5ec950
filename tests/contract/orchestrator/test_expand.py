"""What was released is never taken away: revisions since the last release only add what an older hub can ignore.

So a hub of the last release goes on while a newer one migrates its database. What takes something away comes one
release after nothing uses it any more, and raises FLOOR in store/migrate.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, Operations
from sqlalchemy import Connection

from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import FLOOR, LOCATION, find_current, list_revisions, migrate, upgrade
from deb_orchestrator.store.tables import schema_floor
from debcore.errors import Failure
from tests.contract.orchestrator.postgres import Server
from tests.released import Tree, find_revisions, unpack_release, versions_of

Schema = dict[str, dict[str, Any]]

#: Revisions that take away what no program of the last release uses any more, each with its reason.
CONTRACTS: dict[str, str] = {}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return unpack_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    made = str(tmp_path / "hub.db")
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        made = server.make_database()
    with open_database(made) as database:
        yield database


def describe(db: Connection) -> Schema:
    """Of each table its columns as {name: (type, nullable, has a default)} and its rules as {(kind, words)}."""
    found: Schema = {}
    inspector = sa.inspect(db)
    for table in inspector.get_table_names():
        rules = {("primary key", str(inspector.get_pk_constraint(table)["constrained_columns"]))}
        for unique in inspector.get_unique_constraints(table):
            rules.add(("unique", str(unique["column_names"])))
        for index in inspector.get_indexes(table):
            if index["unique"]:
                rules.add(("unique", str(index["column_names"])))
        for key in inspector.get_foreign_keys(table):
            rules.add(("foreign key", f"{key['constrained_columns']} → {key['referred_table']}"))
        for check in inspector.get_check_constraints(table):
            rules.add(("check", check["sqltext"]))
        columns = {
            one["name"]: (str(one["type"]), one["nullable"], one["default"] is not None)
            for one in inspector.get_columns(table)
        }
        found[table] = {"columns": columns, "rules": rules}
    return found


def list_narrowings(before: Schema, after: Schema) -> list[str]:
    """What a program that was made for *before* may stumble over in *after*, a sentence each."""
    found = [f"table {table} is gone" for table in sorted(before.keys() - after.keys())]
    for table in sorted(before.keys() & after.keys()):
        old, new = before[table]["columns"], after[table]["columns"]
        found += [f"column {table}.{name} is gone" for name in sorted(old.keys() - new.keys())]
        for name in sorted(new.keys() - old.keys()):
            if not new[name][1] and not new[name][2]:
                found.append(f"new column {table}.{name} is neither nullable nor has it a default in the database")
        for name in sorted(old.keys() & new.keys()):
            if old[name][0] != new[name][0]:
                found.append(f"column {table}.{name} was {old[name][0]} and is {new[name][0]}")
            if old[name][1] and not new[name][1]:
                found.append(f"column {table}.{name} must not be NULL any more")
            if old[name][2] and not new[name][2]:
                found.append(f"column {table}.{name} has no default any more")
        added = after[table]["rules"] - before[table]["rules"]
        found += [f"table {table} has a new rule: {kind} {words}" for kind, words in sorted(added)]
    return found


def test_each_revision_since_the_last_release_only_expands(empty: Database, release: Tree) -> None:
    revisions = list_revisions()
    later = revisions[revisions.index(release.head) + 1 :]
    with empty.write() as db:
        upgrade(db, release.head)
        for revision in later:
            before = describe(db)
            upgrade(db, revision)
            assert find_current(db) == revision
            assert revision in CONTRACTS or list_narrowings(before, describe(db)) == [], revision
    with empty.read() as db:
        assert find_current(db) == revisions[-1]


def test_a_released_revision_never_changes(release: Tree) -> None:
    """Databases have it as it was: what it should have said is a revision of its own."""
    released = {path.name: path.read_bytes() for path in versions_of(release.src).glob("r*.py")}
    assert len(released) == len(find_revisions(release.src)) >= 19
    present = {name: (LOCATION / "versions" / name).read_bytes() for name in released}
    assert present == released


def test_the_floor_is_no_newer_than_the_last_release(release: Tree) -> None:
    assert FLOOR in list_revisions()
    assert release.head >= FLOOR, "hubs of the last release could not go on"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An empty database in which nothing is committed."""
    made = str(tmp_path_factory.mktemp("shared") / "hub.db")
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        made = server.make_database()
    with open_database(made) as database:
        yield database


@pytest.fixture
def op(shared: Database) -> Iterator[Operations]:
    """Changes of two tables, taken back afterwards."""
    with shared.write_engine.connect() as db, db.begin() as transaction:
        operations = Operations(MigrationContext.configure(db))
        operations.create_table("pool", sa.Column("name", sa.Text, primary_key=True))
        operations.create_table(
            "host",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, nullable=True),
            sa.Column("trust", sa.Integer, nullable=False, server_default="0"),
        )
        yield operations
        transaction.rollback()


def in_batch(change: Callable[[BatchOperations], None]) -> Callable[[Operations], None]:
    """As SQLite needs it: the table is made anew."""

    def run(op: Operations) -> None:
        with op.batch_alter_table("host") as table:
            change(table)

    return run


def add_pool(default: str | None = None, *, nullable: bool = True) -> Callable[[Operations], None]:
    return lambda op: op.add_column("host", sa.Column("pool", sa.Text, nullable=nullable, server_default=default))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda op: op.drop_table("pool"), ["table pool is gone"]),
        (lambda op: op.rename_table("pool", "pools"), ["table pool is gone"]),
        (lambda op: op.drop_column("host", "trust"), ["column host.trust is gone"]),
        (add_pool(nullable=False), ["new column host.pool is neither nullable nor has it a default in the database"]),
        (in_batch(lambda t: t.alter_column("name", new_column_name="title")), ["column host.name is gone"]),
        (in_batch(lambda t: t.alter_column("name", nullable=False)), ["column host.name must not be NULL any more"]),
        (in_batch(lambda t: t.alter_column("trust", server_default=None)), ["host.trust has no default any more"]),
        (in_batch(lambda t: t.alter_column("name", type_=sa.String(9))), ["host.name was TEXT and is VARCHAR(9)"]),
        (lambda op: op.create_index("new", "host", ["name"], unique=True), ["has a new rule: unique ['name']"]),
        (in_batch(lambda t: t.create_check_constraint("new", "trust < 9")), ["host has a new rule: check"]),
        (
            in_batch(lambda t: t.create_foreign_key("new", "pool", ["name"], ["name"])),
            ["host has a new rule: foreign key ['name'] → pool"],
        ),
        (add_pool(), []),
        (add_pool("''", nullable=False), []),
        (lambda op: op.create_index("new", "host", ["name"]), []),
        (lambda op: op.create_table("new", sa.Column("id", sa.Integer), sa.CheckConstraint("id = 1")), []),
    ],
)  # fmt: skip
def test_what_narrows_is_named_and_nothing_else(
    op: Operations, change: Callable[[Operations], None], says: list[str]
) -> None:
    before = describe(op.get_bind())
    change(op)
    found = list_narrowings(before, describe(op.get_bind()))
    assert len(found) == len(says), found
    for text, expected in zip(found, says, strict=True):
        assert expected in text


def as_if_newer(database: Database, floor: str) -> None:
    """As a later version left it."""
    with database.write() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        db.execute(schema_floor.delete())
        db.execute(schema_floor.insert().values(id=1, revision=floor))


def test_a_hub_runs_on_the_schema_of_the_next_version(empty: Database, caplog: pytest.LogCaptureFixture) -> None:
    migrate(empty)
    as_if_newer(empty, list_revisions()[-1])
    migrate(empty)
    assert "schema 9999, newer than this program" in caplog.text
    with empty.read() as db:
        assert find_current(db) == "9999", "it is not for an older program to change it"


def test_a_hub_does_not_run_on_a_schema_that_has_left_it_behind(empty: Database) -> None:
    migrate(empty)
    as_if_newer(empty, "9998")
    with pytest.raises(Failure, match=r"9999, newer than this program's \d+, and does not run with it") as failure:
        migrate(empty)
    assert "upgrade deb-orchestrator" in (failure.value.hint or "")
    assert "restore a backup" in (failure.value.hint or "")
