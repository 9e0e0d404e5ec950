"""The one writer of `job.state`: a conditional UPDATE and one row of job_log for each transition.

Rows are locked in ascending id everywhere (dependencies always have smaller ids than their dependents), so that
two transactions never wait for each other.
"""

from __future__ import annotations

import heapq
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from deb_orchestrator.domain.jobs import (
    CANCELLED,
    DEPENDENCY_FAILED,
    UNBLOCKED,
    LostRace,
    Outcome,
    Settled,
    State,
    Transition,
    UnknownJob,
)
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import job, job_attempt, job_dependency, job_log, job_wait

#: What hints at classes begin with.
CLASS = "class:"


def class_topic(class_id: int) -> str:
    """Hinted at when a job of the class was queued."""
    return f"{CLASS}{class_id}"


def agent_topic(agent_id: int) -> str:
    """Hinted at when the agent should beat at once: a cancel waits for it."""
    return f"agent:{agent_id}"


def lock_job(db: Connection, job_id: int) -> Row[Any]:
    """The job's row, locked until the end of the transaction. Errors: UnknownJob."""
    row = db.execute(select(job).where(job.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise UnknownJob(f"there is no job {job_id}", hint="list the jobs to find its number")
    return row


def move(
    db: Connection,
    row: Row[Any],
    transition: Transition,
    *,
    at: int,
    reason: str | None = None,
    agent: int | None = None,
    values: dict[str, Any] | None = None,
) -> None:
    """Take *transition* from the state and attempt that *row* shows, and set *values* with it.

    A claim raises the attempt by giving a new one in *values*. Errors: LostRace.
    """
    source, target = State(row.state), transition.target
    values = {"state": target.value, "changed_at": at, **(values or {})}
    if target is not State.RUNNING:
        values |= {"lease_until": None, "room_asked_at": None}
    if target.is_terminal:
        values |= {"ended_at": at, "grant_hash": None}
    moved = None
    if source in transition.sources:
        moved = db.execute(
            update(job)
            .where(job.c.id == row.id, job.c.attempt == row.attempt, job.c.state == source.value)
            .values(values)
            .returning(job.c.attempt)
        ).scalar_one_or_none()
    if moved is None:
        raise LostRace(
            f"job {row.id} (attempt {row.attempt}, {source}) cannot take {transition.name!r} now",
            hint="somebody else moved it; look at it again",
        )
    log_transition(db, row.id, moved, transition.name, source, target, at=at, reason=reason, agent=agent)
    if source is State.BLOCKED:
        db.execute(job_wait.delete().where(job_wait.c.job_id == row.id))
    if target is State.QUEUED:
        hint(db, class_topic(row.class_id))


def log_transition(
    db: Connection,
    job_id: int,
    attempt: int,
    name: str,
    source: State | None,
    target: State,
    *,
    at: int,
    reason: str | None = None,
    agent: int | None = None,
) -> None:
    """Add a row to job_log."""
    db.execute(
        insert(job_log).values(
            job_id=job_id,
            attempt=attempt,
            name=name,
            source=source.value if source else None,
            target=target.value,
            agent_id=agent,
            reason=reason,
            at=at,
        )
    )


def end_attempt(db: Connection, job_id: int, attempt: int, *, at: int, outcome: Outcome | None, **values: Any) -> None:
    """Close the attempt's row if it is still open; a closed one keeps what it has."""
    db.execute(
        update(job_attempt)
        .where(
            job_attempt.c.job_id == job_id,
            job_attempt.c.attempt == attempt,
            job_attempt.c.ended_at.is_(None),
        )
        .values(ended_at=at, outcome=outcome.value if outcome else None, **values)
    )


def settle(db: Connection, job_id: int, state: State, *, at: int) -> Settled:
    """Tell the dependents of a job that has just ended: unblock them, or end them and theirs."""
    unblocked: list[int] = []
    ended: list[int] = []
    todo = [(child, job_id, state.value) for child in _find_dependents(db, job_id)]
    heapq.heapify(todo)
    while todo:
        child, parent, how = heapq.heappop(todo)
        row = lock_job(db, child)
        if row.state != State.BLOCKED:
            continue
        if how == State.SUCCEEDED:
            if _meet_dependency(db, row, at=at):
                unblocked.append(child)
            continue
        state = end_dependent(db, row, parent, State(how), at=at)
        ended.append(child)
        for grandchild in _find_dependents(db, child):
            heapq.heappush(todo, (grandchild, child, state.value))
    return Settled(unblocked=tuple(unblocked), ended=tuple(ended))


def end_dependent(db: Connection, row: Row[Any], parent: int, how: State, *, at: int) -> State:
    """End a blocked job whose dependency ended as *how* (failed or cancelled); it ends likewise."""
    transition = DEPENDENCY_FAILED if how is State.FAILED else CANCELLED
    reason = f"it needs job {parent}, which {'failed' if how is State.FAILED else 'was cancelled'}"
    move(db, row, transition, at=at, reason=reason, values={"outcome": Outcome.DEPENDENCY.value, "reason": reason})
    return transition.target


def _meet_dependency(db: Connection, row: Row[Any], *, at: int) -> bool:
    if row.unmet > 1:
        db.execute(update(job).where(job.c.id == row.id).values(unmet=row.unmet - 1))
        return False
    move(db, row, UNBLOCKED, at=at, values={"unmet": 0})
    return True


def _find_dependents(db: Connection, job_id: int) -> list[int]:
    query = (
        select(job.c.id)
        .join(job_dependency, job_dependency.c.job_id == job.c.id)
        .where(job_dependency.c.needs_id == job_id, job.c.state == State.BLOCKED.value)
    )
    return list(db.execute(query).scalars())
