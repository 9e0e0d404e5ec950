"""`python -m deb_orchestrator.store.migrations.draft`: print what a new revision must do to reach the tables.

A draft to read and to put into versions/rNNNN_what.py: Alembic sees neither data nor renames.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import find_head, upgrade
from deb_orchestrator.store.schema import metadata


def main() -> None:
    """Upgrade an empty SQLite database to the newest revision and compare it with the tables."""
    with (
        tempfile.TemporaryDirectory() as directory,
        open_database(Path(directory, "hub.db")) as database,
        database.write() as db,
    ):
        if find_head() is not None:
            upgrade(db)
        context = MigrationContext.configure(db, opts={"target_metadata": metadata})
        operations = produce_migrations(context, metadata).upgrade_ops
        assert operations is not None
        sys.stdout.write(render_python_code(operations) + "\n")


if __name__ == "__main__":
    main()
