"""Migrations and the engine: the schema is the sum of the revisions, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.schema import metadata
from debcore.errors import Failure
from tests.contract.orchestrator.postgres import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def two_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    """Two databases without tables."""
    if request.param == "sqlite":
        urls = [str(tmp_path / "one.db"), str(tmp_path / "two.db")]
    else:
        server: Server = request.getfixturevalue("postgres")
        urls = [server.make_database() for _ in range(2)]
    with open_database(urls[0]) as one, open_database(urls[1]) as two:
        yield one, two


def describe(database: Database) -> list[str]:
    """All tables, columns, constraints and indexes, one line each, as the database itself words them."""
    with database.read() as db:
        if database.dialect == "sqlite":
            rows = db.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").scalars()
            return sorted(line for row in rows for line in describe_table(row))
        return sorted(
            " ".join(map(str, row))
            for query in (
                "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '')"
                " FROM information_schema.columns WHERE table_schema = 'public'",
                "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace",
                "SELECT indexdef, '' FROM pg_indexes WHERE schemaname = 'public'",
            )
            for row in db.exec_driver_sql(query)
            if "alembic_version" not in str(row)
        )


def describe_table(definition: str) -> Iterator[str]:
    """Parts of a CREATE statement, whose order may differ: columns that were added later stand at its end."""
    head, _, body = re.sub(r"\s+", " ", definition).partition("(")
    if "alembic_version" in definition:
        return
    depth, part = 0, ""
    for letter in body.rpartition(")")[0] + ",":
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            yield f"{head.strip()}: {part.strip()}"
            part = ""
        else:
            part += letter


def test_the_schema_is_the_sum_of_the_migrations(two_empty: tuple[Database, Database]) -> None:
    """If this fails after a change of tables: `python -m deb_orchestrator.store.migrations.draft`."""
    migrated, declared = two_empty
    migrate(migrated)
    with declared.write() as db:
        metadata.create_all(db)
    assert describe(migrated) == describe(declared)
    with migrated.read() as db:
        context = MigrationContext.configure(db, opts={"target_metadata": metadata})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(two_empty: tuple[Database, Database]) -> None:
    database = two_empty[0]
    migrate(database)
    before = describe(database)
    migrate(database)
    assert describe(database) == before


def test_hubs_that_start_together_migrate_once(postgres: Server) -> None:
    url = postgres.make_database()
    hubs = [open_database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, hubs))
    for hub in hubs:
        hub.close()


def test_tables_without_a_revision_are_refused(two_empty: tuple[Database, Database]) -> None:
    with two_empty[0].write() as db:
        metadata.create_all(db)
    with pytest.raises(Failure, match="no revision"):
        migrate(two_empty[0])


def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.read() as db:
        db.execute(sa.text("UPDATE event_counter SET n = 1"))


def test_a_read_is_one_snapshot(database: Database) -> None:
    count = sa.text("SELECT n FROM event_counter")
    with database.read() as reading:
        before = reading.execute(count).scalar_one()
        with database.write() as db:
            db.execute(sa.text("UPDATE event_counter SET n = n + 1"))
        assert reading.execute(count).scalar_one() == before
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == before + 1


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    with open_database(tmp_path / "hub.db") as database, database.write() as db:
        pragmas: dict[str, Any] = {
            name: db.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "hub.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://host/db", "mysql is no database we know"),
        ("sqlite://", "needs a file"),
        ("postgresql:///x?host=/nonexistent", "cannot reach PostgreSQL"),
        ("://", "cannot be read"),
    ],
)
def test_a_url_that_is_no_use_is_refused_with_a_hint(url: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as failure:
        open_database(url)
    assert failure.value.hint


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        open_database("postgresql://user:secret@/x?host=/nonexistent")
    assert "secret" not in str(failure.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_text("this is not a database, but it is long enough to be taken for one" * 20)
    with pytest.raises(Failure):
        open_database(path)
    path.unlink()
    open_database(path).close()  # and the lock was given back


def test_a_place_where_no_file_can_be_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot be opened") as failure:
        open_database(tmp_path / "file" / "hub.db")
    assert failure.value.hint
