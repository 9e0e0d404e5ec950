"""Each test of this directory runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_orchestrator.store.clock import Clock
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from tests.contract.orchestrator.postgres import Server, empty_database, running_server
from tests.contract.orchestrator.world import ManualClock, World


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for the session."""
    with running_server(autovacuum=False) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: Server) -> str:
    """A migrated database that `url` empties for each test: far cheaper than making one."""
    url = postgres.make_database()
    with open_database(url) as database:
        migrate(database)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated, empty database."""
    if request.param == "sqlite":
        path = tmp_path / "hub.db"
        with open_database(path) as database:
            migrate(database)
        return f"sqlite:///{path}"
    made: str = request.getfixturevalue("postgres_url")
    with open_database(made) as database:
        empty_database(database)
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(url: str, clock: Clock) -> Iterator[Database]:
    with open_database(url, clock=clock) as database:
        yield database


@pytest.fixture
def world(database: Database, clock: ManualClock) -> World:
    world = World(database, clock)
    world.set_heartbeat(clock.at)
    return world
