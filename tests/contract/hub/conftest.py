"""The farm of the unit tests, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from tests.contract.orchestrator.postgres import Server, running_server
from tests.unit.orchestrator.services.farm import Farm


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server(autovacuum=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with our tables, to be copied: each revision is run once for all tests."""
    path = tmp_path_factory.mktemp("migrated") / "hub.db"
    with open_database(f"sqlite:///{path}") as db:
        migrate(db)
    assert not path.with_name("hub.db-wal").exists(), "all is in the file"
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farm]:
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        url = server.make_migrated()
    else:
        copy = shutil.copyfile(request.getfixturevalue("migrated"), tmp_path / "hub.db")
        url = f"sqlite:///{copy}"
    with open_database(url) as db:
        yield Farm.make(db, tmp_path)
