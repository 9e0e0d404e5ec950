"""Attempts and their grants: who may still act on a job, and what becomes of it when nobody does."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from deb_orchestrator.dispatch.grants import hash_secret
from deb_orchestrator.dispatch.moves import end_attempt, lock_job, move, settle
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.ends import Record, choose_end
from deb_orchestrator.domain.jobs import (
    Claimed,
    Finished,
    Outcome,
    Policy,
    ResultConflict,
    Settled,
    StaleAttempt,
    State,
)
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new


def run_again(db: Connection, row: Row[Any], *, policy: Policy) -> Row[Any]:
    """Resume a job that lost its lease and was not claimed since: the loss is forgiven."""
    if row.state == State.RUNNING:
        return row
    at = now(db)
    values = {
        "lease_until": at + as_ms(policy.lease_s),
        "losses": max(0, row.losses - 1),
        "outcome": None,
        "reason": None,
    }
    move(db, row, jobs.RESUMED, at=at, agent=row.agent_id, values=values)
    return lock_job(db, row.id)


def lock_current(db: Connection, job: int, attempt: int, grant: str, agent: int | None) -> Row[Any]:
    """The job's row, locked, if the attempt is its current one and the grant is valid. Errors: StaleAttempt."""
    row = lock_job(db, job)
    valid = row.attempt == attempt and row.grant_hash == hash_secret(grant) and agent in {None, row.agent_id}
    if valid and row.state in {State.RUNNING, State.QUEUED}:
        state = db.execute(select(t.agent.c.state).where(t.agent.c.id == row.agent_id)).scalar_one()
        if state == "approved":
            return row
    raise _stale(row, attempt)


def _stale(row: Row[Any], attempt: int) -> StaleAttempt:
    return StaleAttempt(
        f"attempt {attempt} of job {row.id} is over (the job is {row.state}, attempt {row.attempt})",
        hint="stop the work; claim again for more",
    )


def find_attempt(db: Connection, row: Row[Any], attempt: int, grant: str, agent: int | None) -> Row[Any]:
    """The attempt's row, over or not, if the grant was its own. Errors: StaleAttempt."""
    query = select(t.job_attempt).where(t.job_attempt.c.job_id == row.id, t.job_attempt.c.attempt == attempt)
    tried = db.execute(query).one_or_none()
    if tried is None or tried.grant_hash != hash_secret(grant) or agent not in {None, tried.agent_id}:
        raise _stale(row, attempt)
    return tried


def replay_finish(tried: Row[Any], result_hash: str) -> Finished:
    """The stored answer of an attempt that has a result. Errors: ResultConflict if it is another one."""
    if tried.result_hash != result_hash:
        raise ResultConflict(
            f"attempt {tried.attempt} of job {tried.job_id} already has another result",
            hint="the first result stands; discard this one",
        )
    reply = tried.reply
    return Finished(
        job=tried.job_id,
        attempt=tried.attempt,
        state=State(reply["state"]),
        outcome=Outcome(reply["outcome"]),
        reason=reply["reason"],
        replayed=True,
    )


def exclude(db: Connection, row: Row[Any], *, at: int, policy: Policy) -> None:
    """Keep this builder off the job for a while, longer with each fault."""
    until = at + as_ms(policy.exclude_s * 2**row.losses)
    both = {"job_id": row.id, "agent_id": row.agent_id}
    where = t.job_exclusion.c.job_id == row.id, t.job_exclusion.c.agent_id == row.agent_id
    db.execute(insert_new(db, t.job_exclusion).values(**both, until_at=until))
    db.execute(update(t.job_exclusion).where(*where).values(until_at=until))


def load_record(db: Connection, row: Row[Any], *, waits: bool = True) -> Record:
    """What `choose_end` wants to know of the job."""
    faulty = select(t.job_exclusion.c.agent_id).where(t.job_exclusion.c.job_id == row.id)
    return Record(
        losses=row.losses,
        max_attempts=row.max_attempts,
        cancel_asked=row.cancel_asked_at is not None,
        waits=waits,
        faulty_builders=len(db.execute(faulty).all()),
    )


def lose(
    db: Connection, row: Row[Any], reason: str, *, at: int, policy: Policy, may_end: bool = True
) -> tuple[State, Settled]:
    """End a running attempt that nobody reported on. Back in the queue its grant stays good until the next claim.

    Without *may_end* a job that this would end is left to the reaper, whose caller tells the world.
    """
    end = choose_end(Outcome.LOST, load_record(db, row), policy)
    if end.transition.target.is_terminal and not may_end:
        db.execute(update(t.job).where(t.job.c.id == row.id).values(lease_until=at - 1))
        return State.RUNNING, Settled()
    values = {"losses": row.losses + end.loses, "outcome": end.outcome.value, "reason": reason}
    move(db, row, end.transition, at=at, reason=reason, agent=row.agent_id, values=values)
    target = end.transition.target
    if not target.is_terminal:
        return target, Settled()
    end_attempt(db, row.id, row.attempt, at=at, outcome=end.outcome)
    return target, settle(db, row.id, target, at=at)


def answer_claim(row: Row[Any], attempt: int, grant: str, policy: Policy) -> Claimed:
    """The answer for an attempt that *row*, read before or after the claim, belongs to."""
    return Claimed(
        job=row.id,
        attempt=attempt,
        grant=grant,
        lease_s=policy.lease_s,
        kind=row.kind,
        spec=row.spec,
        request_id=row.request_id,
        build_id=row.build_id,
        arch=row.arch,
        trace=row.trace,
    )


def as_ms(seconds: float) -> int:
    """Leases are kept in milliseconds."""
    return round(seconds * 1000)
