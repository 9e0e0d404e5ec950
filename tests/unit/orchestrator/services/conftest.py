"""A farm on SQLite for each test, in memory where the host has a place for that: nothing here needs to survive."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from deb_orchestrator.services import importing, sources
from deb_orchestrator.store.engine import Database
from tests.unit.orchestrator.empty import open_empty
from tests.unit.orchestrator.services.farm import Farm, open_here


@dataclass(frozen=True)
class Ground:
    """One database for all tests, which keeps its compiled statements, and what it is like at the start of each."""

    db: Database
    place: Path
    rows: sqlite3.Connection

    def restore(self) -> None:
        self.db._listeners.clear()
        with self.db.write_engine.connect() as connection:
            self.rows.backup(cast(sqlite3.Connection, connection.connection.dbapi_connection))
        shutil.rmtree(self.place / "blobs")
        shutil.copytree(self.place / "first", self.place / "blobs")


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="farm-") as name:
        place = Path(name)
        with open_empty(place / "hub.sqlite") as db:
            Farm.make(db, place)
            shutil.copytree(place / "blobs", place / "first")
            rows = sqlite3.connect(":memory:")
            with db.write_engine.connect() as connection:
                cast(sqlite3.Connection, connection.connection.dbapi_connection).backup(rows)
            yield Ground(db, place, rows)
            rows.close()


@pytest.fixture
def farm(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Farm:
    """Files are opened in this process (test_sealed.py opens them in the sealed one)."""

    monkeypatch.setattr(sources, "open_files", open_here)
    monkeypatch.setattr(importing, "open_files", open_here)
    ground.restore()
    return Farm.open(ground.db, ground.place)
