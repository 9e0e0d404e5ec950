"""Choosing: the heads of the queues of some classes, found by index alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, cast, exists, literal, select

from deb_orchestrator.domain.jobs import POLICY, Policy, State
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import job, job_class, job_exclusion, job_turn

#: Written into the SQL text: the planner must see that the partial index serves.
_QUEUED = literal(State.QUEUED.value, literal_execute=True)


class Turn(NamedTuple):
    """A queue that has a job, and when its owner had its last turn (ms)."""

    class_id: int
    owner: str
    served_at: int


def find_heads(
    db: Connection, agent: int, classes: Sequence[int], *, at: int | None = None, policy: Policy = POLICY
) -> list[Turn]:
    """The queues (class and owner) that have a job for *agent*, whose turn it is first: dispatch/turns.py. Works on a
    read connection.

    A hub looks here before it opens a write transaction for a claim that would find nothing.
    """
    at = now(db) if at is None else at
    head = (
        select(job.c.id)
        .where(job.c.class_id == job_turn.c.class_id, job.c.owner == job_turn.c.owner, *_is_free_for(agent, at))
        .order_by(job.c.rank, job.c.id)
        .limit(1)
        .correlate(job_turn)
        .scalar_subquery()
    )
    turns = select(job_turn, head.label("job_id")).where(job_turn.c.class_id.in_(classes)).subquery()
    turn = turns.c.served_at - cast(job.c.priority, BigInteger) * round(policy.age_s * 1000)
    query = select(turns.c.class_id, turns.c.owner, turns.c.served_at).join(job, job.c.id == turns.c.job_id)
    return [
        Turn(row.class_id, row.owner, row.served_at) for row in db.execute(query.order_by(turn, job.c.rank, job.c.id))
    ]


def find_queued(db: Connection, classes: Collection[int] | None = None) -> frozenset[int]:
    """Those of *classes* (None: of all) that have a job queued, for whomever."""
    head = exists().where(job.c.class_id == job_class.c.id, job.c.state == _QUEUED)
    query = select(job_class.c.id).where(head)
    if classes is not None:
        query = query.where(job_class.c.id.in_(classes))
    return frozenset(db.execute(query).scalars())


def lock_head(db: Connection, agent: int, class_id: int, owner: str, *, at: int) -> Row[Any] | None:
    """The first queued job of the class and owner that no other claim has locked, locked."""
    query = (
        select(job)
        .where(job.c.class_id == class_id, job.c.owner == owner, *_is_free_for(agent, at))
        .order_by(job.c.rank, job.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=job)
    )
    return db.execute(query).one_or_none()


def _is_free_for(agent: int, at: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    excluded = exists().where(
        job_exclusion.c.job_id == job.c.id, job_exclusion.c.agent_id == agent, job_exclusion.c.until_at > at
    )
    return job.c.state == _QUEUED, ~excluded
