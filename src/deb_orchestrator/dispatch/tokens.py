"""What blocked jobs wait for besides other jobs: tokens. Who knows that one came releases them or has them wait on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from deb_orchestrator.dispatch.moves import lock_job, move
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.jobs import LostRace, Outcome, State
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.clock import now

#: Token of jobs that wait for any publication.
ANY = "*"


def release_waiting(db: Connection, tokens: Sequence[str]) -> tuple[int, ...]:
    """Queue the jobs that wait for one of *tokens*; those that wait for `*` come with any. Returns their ids."""
    return release_jobs(db, find_waiting(db, tokens))


def find_waiting(db: Connection, tokens: Sequence[str]) -> list[Row[Any]]:
    """The jobs, locked, that wait for one of *tokens*, or for `*` if there is one."""
    if not tokens:
        return []
    waiting = select(t.job_wait.c.job_id).where(t.job_wait.c.token.in_([*tokens, ANY]))
    query = select(t.job).where(t.job.c.id.in_(waiting), t.job.c.state == State.BLOCKED.value)
    return list(db.execute(query.order_by(t.job.c.id).with_for_update()).all())


def release_jobs(db: Connection, rows: Sequence[Row[Any]]) -> tuple[int, ...]:
    """Queue locked jobs that waited for tokens; their ids."""
    for row in rows:
        move(db, row, jobs.UNBLOCKED, at=now(db), values={"outcome": None, "reason": None})
    return tuple(row.id for row in rows)


def lock_waiting(db: Connection, job: int) -> Row[Any] | None:
    """The job's row, locked, if it still waits for tokens."""
    row = lock_job(db, job)
    waits = select(t.job_wait.c.token).where(t.job_wait.c.job_id == job).limit(1)
    return row if row.state == State.BLOCKED and db.execute(waits).first() is not None else None


def wait_on(
    db: Connection, row: Row[Any], tokens: Collection[str], *, outcome: Outcome | None, reason: str | None
) -> None:
    """A job that waits for tokens waits for these from now on. *outcome*: DEPS, or None while nobody has judged it.

    Errors: LostRace if it waits for other jobs, or does not wait.
    """
    if row.unmet:
        raise LostRace(f"job {row.id} waits for other jobs", hint="look at it again")
    values = {"outcome": outcome.value if outcome else None, "reason": reason}
    move(db, row, jobs.WAITS_ON, at=now(db), reason=reason, values=values)
    add_waits(db, row.id, tokens)


def add_waits(db: Connection, job: int, tokens: Collection[str]) -> None:
    """Note what a blocked job waits for."""
    if tokens:
        db.execute(insert(t.job_wait), [{"job_id": job, "token": token} for token in sorted(set(tokens))])
