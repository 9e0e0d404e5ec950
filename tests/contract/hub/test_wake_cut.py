"""Wake-ups by NOTIFY are hints: with the listening connections cut, again and again or from the start, jobs finish."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from deb_orchestrator.dispatch.wake import PostgresWake
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.work import Tender, Worker
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from debcore.hub.model import RequestState
from tests.contract.hub.test_database_faults import running
from tests.contract.orchestrator.postgres import Server
from tests.integration.orchestrator.stack import wait_for
from tests.unit.orchestrator.services.farm import Farm, only

pytestmark = pytest.mark.timeout(600)

_CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
)


class Cutter:
    """Ends every connection that listens, as soon as it does."""

    def __init__(self, db: Database) -> None:
        self._db, self.cuts = db, 0

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            with self._db.write() as db:
                self.cuts += len(db.execute(_CUT).all())


@pytest.mark.parametrize("how", ["cut again and again", pytest.param("never listens", marks=pytest.mark.slow)])
def test_jobs_finish_without_wake_ups(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """One hub is asked; all work of the other's threads would come by NOTIFY."""
    if how == "never listens":
        monkeypatch.setattr(PostgresWake, "_listen", lambda self, _connection: self._stopping.wait())
    url = postgres.make_database()
    with open_database(url) as here, open_database(url) as there:
        migrate(here)
        farm = Farm.make(here, tmp_path)
        other = Hub(db=there, blobs=farm.hub.blobs, state=tmp_path / "other")
        cutter, worker, tender = Cutter(here), Worker(other, "hub-other"), Tender(other)
        with running(worker.run, tender.run, *([cutter.run] if how != "never listens" else [])):
            for i in range(1 if how == "never listens" else 2):
                asked = farm.ask(farm.add_source(f"hello{i}"))
                farm.finish_well(only(farm.claim()))

                def is_ready(id_: str = asked.id) -> bool:
                    farm.sign()
                    return farm.request(id_).state is RequestState.READY

                wait_for(is_ready, why="the end of the request")
            if how != "never listens":
                wait_for(lambda: cutter.cuts >= 5, why="more cuts")
        if how != "never listens":
            check_hints_come_back(farm.hub, other)
        for hub in (farm.hub, other):
            hub.wake.close()


def check_hints_come_back(here: Hub, there: Hub) -> None:
    wake = there.wake
    assert isinstance(wake, PostgresWake)
    heard: set[str] = set()
    wake.subscribe(heard.update)
    wait_for(wake.listening.is_set, why="listening again")

    def is_heard() -> bool:
        here.wake.send(frozenset({"topic"}))
        return "topic" in heard

    wait_for(is_heard, why="a hint of the other hub")
