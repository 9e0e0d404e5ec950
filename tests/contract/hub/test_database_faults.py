"""The database goes away in the midst of work and comes back: no thread of a hub ends, no job is lost or counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from deb_orchestrator.services.importing import import_build
from deb_orchestrator.services.work import Tender, Worker
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import job
from deb_orchestrator.web.api.app import make_app
from debcore.hub.model import RequestState
from tests.contract.orchestrator.postgres import Server, running_server
from tests.integration.orchestrator.stack import wait_for
from tests.unit.orchestrator.services.farm import Farm, only

pytestmark = pytest.mark.timeout(600)


@contextmanager
def running(*targets: Callable[[threading.Event], None]) -> Iterator[list[threading.Thread]]:
    stop = threading.Event()
    threads = [threading.Thread(target=target, args=(stop,)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Fault:
    """Takes the database away and gives it back."""

    def __init__(self, db: Database, server: Server | None) -> None:
        self._db, self._server = db, server

    def begin(self) -> None:
        if self._server is not None:
            self._server.crash()
        else:  # a full disk, as SQLite itself sees it
            self._set_pages(1)

    def end(self) -> None:
        if self._server is not None:
            self._server.start()
        else:
            self._set_pages(1073741823)

    def _set_pages(self, most: int) -> None:
        """max_page_count never goes below what the file has, so the next page that is needed is one too many."""
        with self._db.write_engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")


@pytest.fixture(params=["sqlite", "postgresql"])
def fragile(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Farm, Fault]]:
    with ExitStack() as stack:
        server = stack.enter_context(running_server()) if request.param == "postgresql" else None
        db = stack.enter_context(open_database(server.make_database() if server else tmp_path / "hub.db"))
        migrate(db)
        farm = Farm.make(db, tmp_path)
        stack.callback(farm.hub.wake.close)
        yield farm, Fault(db, server)


def test_a_worker_outlives_the_database_and_its_job_costs_no_try(
    fragile: tuple[Farm, Fault], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes away while a build is imported; what the import writes needs more pages than are free."""
    farm, fault = fragile
    names = [f"hello-{i}" for i in range(60)]
    asked = farm.ask(farm.add_source("hello", binaries=names))
    farm.finish_well(only(farm.claim()), *names)
    faults: list[str] = []

    def import_without_database(*arguments: object) -> None:
        if not faults:
            faults.append("begun")
            fault.begin()
        import_build(*arguments)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr("deb_orchestrator.services.work.import_build", import_without_database)
    worker, tender = Worker(farm.hub, "hub-other"), Tender(farm.hub)
    with running(worker.run, tender.run) as threads, TestClient(make_app(farm.hub)) as client:
        wait_for(lambda: "waits for the database" in caplog.text, why="the import's failure")
        if farm.hub.db.dialect == "postgresql":
            answer = client.get("/api/v1/requests", headers={"Authorization": "Bearer x"})
            assert (answer.status_code, answer.json()["error"]) == (503, "the hub's database does not answer")
        assert all(thread.is_alive() for thread in threads)
        fault.end()

        def is_imported() -> bool:
            farm.sign()
            return farm.request(asked.id).state is not RequestState.OPEN

        wait_for(is_imported, why="the end of the request")
        assert all(thread.is_alive() for thread in threads)
    assert farm.request(asked.id).state is RequestState.READY
    with farm.hub.db.read() as db:
        row = db.execute(select(job).where(job.c.kind == "import")).one()
    assert (row.state, row.losses) == ("succeeded", 0)
