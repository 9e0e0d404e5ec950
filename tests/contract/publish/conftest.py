"""Each test of this directory runs on SQLite and on a real PostgreSQL, with one signer in this process."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.classes import find_classes
from deb_orchestrator.domain.jobs import Offer
from deb_orchestrator.services.publish import NewSuite, accept_answer, ensure_suite, sign_outcome
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.signer.loop import answer_job
from deb_orchestrator.signer.model import SignAnswer
from deb_orchestrator.store import tables_publish
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import agent
from debcore.blobs import BlobStore
from debcore.hub.model import Claimed
from tests.contract.orchestrator.postgres import empty_database, running_server

assert tables_publish.suite.name == "suite"  # imported so that `migrate` makes its tables


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with running_server(autovacuum=False) as server:
        url = server.make_database()
        with open_database(url) as database:
            migrate(database)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path}/hub.sqlite"
    with open_database(url) as database:
        migrate(database)
        if request.param == "postgresql":
            empty_database(database)
        with database.write() as conn:
            ensure_suite(conn, NewSuite(name="trixie-local"))
        yield database


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "signer") as opened:
        yield opened


@dataclass
class HubJobs:
    """The port of the signer's loop on the hub's own statements: what the HTTP routes do, without HTTP."""

    db: Database
    blobs: BlobStore
    agent: int
    hear: bool = True  #: False: the hub dies between the end of the job and acting upon it

    def claim(self) -> Claimed | None:
        with self.db.write() as conn:
            classes = find_classes(conn, Offer(pools=frozenset({"sign"})))
            claimed = statements.claim(conn, self.agent, secrets.token_hex(16), classes, "boot")
        if claimed is None:
            return None
        fields = {name: getattr(claimed, name) for name in ("job", "attempt", "grant", "lease_s", "kind", "spec")}
        return Claimed.model_validate(fields)

    def finish(self, claimed: Claimed, answer: SignAnswer) -> None:
        result = answer.model_dump(mode="json")
        outcome, reason = sign_outcome(result)
        with self.db.write() as conn:
            done = statements.finish(
                conn, claimed.job, claimed.attempt, claimed.grant, outcome, result, answer.hash, reason=reason
            )
        if self.hear:
            for job in (claimed.job, *done.settled.ended):
                accept_answer(self.db, self.blobs, job)

    def work(self, desk: Desk) -> int:
        """Answer all jobs there are; the number of them."""
        n = 0
        while (claimed := self.claim()) is not None:
            answer_job(desk, self, claimed)
            n += 1
        return n


def ensure_agent(db: Database, pool: str) -> int:
    """An approved agent of *pool*; its id."""
    with db.write() as conn:
        values = {"name": f"{pool}-1", "state": "approved", "pools": [pool], "created_at": 0}
        return int(conn.execute(agent.insert().values(values).returning(agent.c.id)).scalar_one())


@pytest.fixture
def jobs(db: Database, blobs: BlobStore) -> HubJobs:
    return HubJobs(db, blobs, ensure_agent(db, "sign"))
