"""Bring a database to the schema that this version needs: the sum of the revisions in store/migrations.

Revisions only expand: a hub of the release before goes on while a newer one migrates, and may start again afterwards.
What it may start on is said by the schema itself: `schema_floor` holds FLOOR of the newest program that migrated.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from deb_orchestrator.store import clock
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import event_counter, hub_heartbeat, schema_floor
from debcore.errors import Failure

log = logging.getLogger(__name__)

LOCATION = Path(__file__).with_name("migrations")
#: The oldest revision whose programs run on our schema: that of the last release. A revision that takes away what such
#: a program uses comes one release after nothing uses it any more, and raises this.
FLOOR = "0019"
#: pg_advisory_xact_lock key: of hubs that start together one migrates, the others wait.
LOCK = 0xDEB0
#: How long a change of a table waits for those who use it, who wait behind it; then they go first, and it tries again.
LOCK_WAIT = "2s"
TRIES = 30
PAUSE_S = 0.5


def migrate(database: Database) -> None:
    """Create or upgrade all tables, in one transaction; quick if there is nothing to do.

    A schema that is newer than this program is left as it is, if it says that we run on it.
    Errors: Failure if it does not, if it was not made by us, or if its tables stay in use for a minute.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its INFO is not a sentence for the user
    for left in reversed(range(TRIES)):
        try:
            _migrate(database)
            return
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
                raise
            if not left:
                raise Failure(
                    "the database's tables are in use and cannot be changed",
                    hint="start again at a quieter time, or when no other hub runs on this database",
                ) from error
        log.info("the database's tables are in use: trying again to change them")
        time.sleep(PAUSE_S)


def _migrate(database: Database) -> None:
    with database.write() as db:
        if database.dialect == "postgresql":
            db.execute(select(func.pg_advisory_xact_lock(LOCK)))
        current = find_current(db)
        if current != find_head() and _is_upgradable(db, current):
            if database.dialect == "postgresql":
                db.execute(select(func.set_config("lock_timeout", LOCK_WAIT, True)))
            upgrade(db)
            db.execute(schema_floor.delete())
            db.execute(schema_floor.insert().values(id=1, revision=FLOOR))
        if db.execute(select(event_counter.c.id)).first() is None:
            db.execute(event_counter.insert().values(id=1, n=0))
            db.execute(hub_heartbeat.insert().values(id=1, beat_at=clock.now(db)))


def upgrade(db: Connection, to: str = "head") -> None:
    """Run all revisions up to *to* that *db* lacks."""
    config = _make_config()
    config.attributes["connection"] = db
    command.upgrade(config, to)


def list_revisions() -> list[str]:
    """All that this program knows, oldest first."""
    scripts = ScriptDirectory.from_config(_make_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def find_head() -> str | None:
    """The newest revision that this program knows; None only while the first one is drafted."""
    return ScriptDirectory.from_config(_make_config()).get_current_head()


def find_current(db: Connection) -> str | None:
    """The revision of the database; None if it has none."""
    return MigrationContext.configure(db).get_current_revision()


def _is_upgradable(db: Connection, current: str | None) -> bool:
    """False if there is nothing to do although *current* is not our head: it is newer and bears us."""
    known = list_revisions()
    if current is None and sa.inspect(db).has_table("job"):
        raise Failure("the database has our tables but no revision", hint="start with a new database")
    if current is None or current in known:
        return True
    floor = db.execute(select(schema_floor.c.revision)).scalar() if sa.inspect(db).has_table("schema_floor") else None
    if floor is None or floor not in known:
        raise Failure(
            f"the database has schema {current}, newer than this program's {known[-1]}, and does not run with it",
            hint="upgrade deb-orchestrator on this host too; to go back, restore a backup that the older version made",
        )
    log.warning("the database has schema %s, newer than this program (%s): upgrade this hub too", current, known[-1])
    return False


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    return config
