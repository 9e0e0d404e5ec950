"""The farm of the unit tests, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from tests.contract.orchestrator.postgres import Server, running_server
from tests.unit.orchestrator.services.farm import Farm


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farm]:
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        url = server.make_database()
    with open_database(url) as db:
        migrate(db)
        yield Farm.make(db, tmp_path)
