"""A database with agents, and a clock that the test moves: what all contract tests of the dispatch share."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select, update

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.classes import find_classes
from deb_orchestrator.dispatch.tokens import lock_waiting, release_waiting, wait_on
from deb_orchestrator.dispatch.turns import ask_for_room
from deb_orchestrator.domain.jobs import (
    TRANSITIONS,
    Cancelled,
    Claimed,
    Finished,
    Held,
    NewJob,
    Offer,
    Outcome,
    Reaped,
    State,
)
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.engine import Database

START = 1_800_000_000_000  # ms


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self, _connection: Connection) -> int:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += round(seconds * 1000)


@dataclass
class World:
    """Each method is one transaction of its own."""

    database: Database
    clock: ManualClock
    offer: Offer = field(default_factory=lambda: Offer(arches=frozenset({"amd64"})))
    _names: itertools.count[int] = field(default_factory=itertools.count)

    def add_agent(self, state: str = "approved") -> int:
        with self.database.write() as db:
            return self.add_agent_in(db, state)

    def add_agent_of(self, *pools: str) -> int:
        agent = self.add_agent()
        self.set_agent(agent, pools=list(pools))
        return agent

    def add_agent_in(self, db: Connection, state: str = "approved") -> int:
        values = {"name": f"agent-{next(self._names)}", "state": state, "created_at": self.clock.at}
        return int(db.execute(t.agent.insert().values(values).returning(t.agent.c.id)).scalar_one())

    def set_agent(self, agent: int, **values: Any) -> None:
        with self.database.write() as db:
            db.execute(update(t.agent).where(t.agent.c.id == agent).values(**values))

    def set_heartbeat(self, at: int) -> None:
        with self.database.write() as db:
            db.execute(update(t.hub_heartbeat).values(beat_at=at))

    def enqueue(self, **fields: Any) -> int:
        with self.database.write() as db:
            return statements.enqueue(db, NewJob(**{"kind": "build", "spec": {}, **fields}))

    def claim(
        self, agent: int, claim_id: str | None = None, *, boot: str = "boot", held: tuple[Held, ...] = ()
    ) -> Claimed | None:
        with self.database.write() as db:
            classes = find_classes(db, self.offer)
            return statements.claim(db, agent, claim_id or secrets.token_hex(16), classes, boot, held)

    def must_claim(self, agent: int, claim_id: str | None = None, **options: Any) -> Claimed:
        claimed = self.claim(agent, claim_id, **options)
        assert claimed is not None
        return claimed

    def beat(self, claimed: Claimed, **options: Any) -> bool:
        """Whether the agent shall cancel."""
        with self.database.write() as db:
            return statements.beat(db, claimed.job, claimed.attempt, claimed.grant, **options).cancel

    def must_make_room(self, claimed: Claimed) -> bool:
        """Whether the agent shall give the job back."""
        with self.database.write() as db:
            return statements.beat(db, claimed.job, claimed.attempt, claimed.grant).make_room

    def finish(
        self, claimed: Claimed, outcome: Outcome = Outcome.SUCCEEDED, result_hash: str = "r1", **options: Any
    ) -> Finished:
        with self.database.write() as db:
            return statements.finish(
                db, claimed.job, claimed.attempt, claimed.grant, outcome, {"hash": result_hash}, result_hash, **options
            )

    def release(self, claimed: Claimed) -> State:
        with self.database.write() as db:
            return statements.release(db, claimed.job, claimed.attempt, claimed.grant, reason="draining").state

    def release_waiting(self, *tokens: str) -> tuple[int, ...]:
        with self.database.write() as db:
            return release_waiting(db, tokens)

    def wait_on(self, job: int, *tokens: str, reason: str | None = None) -> bool:
        """False if it does not wait for tokens."""
        with self.database.write() as db:
            row = lock_waiting(db, job)
            if row is not None:
                wait_on(db, row, tokens, outcome=Outcome.DEPS, reason=reason)
            return row is not None

    def ask_for_room(self, job: int) -> bool:
        with self.database.write() as db:
            return ask_for_room(db, job, reason="a test is more urgent")

    def reap(self) -> Reaped:
        with self.database.write() as db:
            return statements.reap(db)

    def cancel(self, job: int) -> Cancelled:
        with self.database.write() as db:
            return statements.cancel(db, job, reason="asked in a test")

    def lose_lease(self, claimed: Claimed) -> None:
        """Let a minute pass, with a hub alive all the time."""
        for _ in range(7):
            self.clock.advance(10)
            reaped = self.reap()
        assert claimed.job in (*reaped.requeued, *reaped.failed, *reaped.cancelled)

    def job(self, job: int) -> Any:
        with self.database.read() as db:
            return db.execute(select(t.job).where(t.job.c.id == job)).one()

    def state(self, job: int) -> State:
        return State(self.job(job).state)

    def log(self, job: int) -> list[str]:
        """Names of the job's transitions."""
        with self.database.read() as db:
            query = select(t.job_log.c.name).where(t.job_log.c.job_id == job).order_by(t.job_log.c.id)
            return list(db.execute(query).scalars())


def check_log(world: World, job: int) -> None:
    """I14 for a job of the world."""
    with world.database.read() as db:
        rows = db.execute(select(t.job_log).where(t.job_log.c.job_id == job).order_by(t.job_log.c.id)).all()
    check_path(rows, world.state(job))


def check_path(rows: Sequence[Row[Any]], state: str) -> None:
    """I14: one row of job_log per transition, and each follows the table from where the one before it ended."""
    legal = {(one.name, source.value, one.target.value) for one in TRANSITIONS for source in one.sources}
    assert rows[0].name == "enqueued"
    for before, row in itertools.pairwise(rows):
        assert row.source == before.target
        assert (row.name, row.source, row.target) in legal
        assert row.attempt == before.attempt + (row.name == "claimed")
    assert rows[-1].target == state
