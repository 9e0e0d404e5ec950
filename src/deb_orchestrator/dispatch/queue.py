"""Choosing: the heads of the queues of some classes, found by index alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Select, bindparam, cast, exists, literal, select

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
    values = {"agent": agent, "at": at, "classes": list(classes), "age_ms": round(policy.age_s * 1000)}
    return [Turn(row.class_id, row.owner, row.served_at) for row in db.execute(_HEADS, values)]


def find_queued(db: Connection, classes: Collection[int] | None = None) -> frozenset[int]:
    """Those of *classes* (None: of all) that have a job queued, for whomever."""
    if classes is None:
        return frozenset(db.execute(_WITH_JOBS).scalars())
    return frozenset(db.execute(_WITH_JOBS_OF, {"classes": list(classes)}).scalars())


def lock_head(db: Connection, agent: int, class_id: int, owner: str, *, at: int) -> Row[Any] | None:
    """The first queued job of the class and owner that no other claim has locked, locked."""
    values = {"agent": agent, "at": at, "class_id": class_id, "owner": owner}
    return db.execute(_LOCK_HEAD, values).one_or_none()


def _make_is_free() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Queued, and not kept from `agent` at the time `at`."""
    excluded = exists().where(
        job_exclusion.c.job_id == job.c.id,
        job_exclusion.c.agent_id == bindparam("agent", type_=BigInteger),
        job_exclusion.c.until_at > bindparam("at", type_=BigInteger),
    )
    return job.c.state == _QUEUED, ~excluded


def _make_heads() -> Select[Any]:
    head = (
        select(job.c.id)
        .where(job.c.class_id == job_turn.c.class_id, job.c.owner == job_turn.c.owner, *_make_is_free())
        .order_by(job.c.rank, job.c.id)
        .limit(1)
        .correlate(job_turn)
        .scalar_subquery()
    )
    classes = job_turn.c.class_id.in_(bindparam("classes", expanding=True, type_=BigInteger))
    turns = select(job_turn, head.label("job_id")).where(classes).subquery()
    turn = turns.c.served_at - cast(job.c.priority, BigInteger) * bindparam("age_ms", type_=BigInteger)
    query = select(turns.c.class_id, turns.c.owner, turns.c.served_at).join(job, job.c.id == turns.c.job_id)
    return query.order_by(turn, job.c.rank, job.c.id)


def _make_lock_head() -> Select[Any]:
    mine = (job.c.class_id == bindparam("class_id"), job.c.owner == bindparam("owner"))
    query = select(job).where(*mine, *_make_is_free()).order_by(job.c.rank, job.c.id).limit(1)
    return query.with_for_update(skip_locked=True, of=job)


# Made once: a farm runs them so often that to put them together took longer than to run them.
_HEADS = _make_heads()
_LOCK_HEAD = _make_lock_head()
_WITH_JOBS = select(job_class.c.id).where(exists().where(job.c.class_id == job_class.c.id, job.c.state == _QUEUED))
_WITH_JOBS_OF = _WITH_JOBS.where(job_class.c.id.in_(bindparam("classes", expanding=True)))
