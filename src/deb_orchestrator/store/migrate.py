"""Bring a database to the schema that this version needs: the sum of the revisions in store/migrations."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from deb_orchestrator.store import clock
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import event_counter, hub_heartbeat
from debcore.errors import Failure

LOCATION = Path(__file__).with_name("migrations")
#: pg_advisory_xact_lock key: of hubs that start together one migrates, the others wait.
LOCK = 0xDEB0


def migrate(database: Database) -> None:
    """Create or upgrade all tables, in one transaction; quick if there is nothing to do.

    Errors: Failure if the schema is newer than this program, or was not made by it.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its INFO is not a sentence for the user
    with database.write() as db:
        if database.dialect == "postgresql":
            db.execute(select(func.pg_advisory_xact_lock(LOCK)))
        current = find_current(db)
        if current != find_head():
            _check_upgradable(db, current)
            upgrade(db)
        if db.execute(select(event_counter.c.id)).first() is None:
            db.execute(event_counter.insert().values(id=1, n=0))
            db.execute(hub_heartbeat.insert().values(id=1, beat_at=clock.now(db)))


def upgrade(db: Connection) -> None:
    """Run all revisions that *db* lacks."""
    config = _make_config()
    config.attributes["connection"] = db
    command.upgrade(config, "head")


def find_head() -> str | None:
    """The newest revision that this program knows; None only while the first one is drafted."""
    return ScriptDirectory.from_config(_make_config()).get_current_head()


def find_current(db: Connection) -> str | None:
    """The revision of the database; None if it has none."""
    return MigrationContext.configure(db).get_current_revision()


def _check_upgradable(db: Connection, current: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_make_config()).walk_revisions()}
    if current is None and sa.inspect(db).has_table("job"):
        raise Failure("the database has our tables but no revision", hint="start with a new database")
    if current is not None and current not in known:
        raise Failure(
            f"the database has schema {current}, which is newer than this program",
            hint="upgrade deb-orchestrator on this host too",
        )


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    return config
