"""Whose turn it is: owners with jobs of one class take turns, priorities and waiting counted in.

Within an owner's queue `job.rank` decides: when the job came, `age_s` sooner for each step of its priority, so that
whatever waits long enough comes first. Among owners the one comes first whose last turn is longest ago, the priority of
its first job counted in alike. So nobody starves, and an owner with ten thousand jobs delays another by one job.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection, select

from deb_orchestrator.dispatch.moves import agent_topic, lock_job, move
from deb_orchestrator.dispatch.queue import Turn
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.jobs import POLICY, Policy, State
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import hint, insert_new
from deb_orchestrator.store.tables import job, job_turn

#: Milliseconds after which an owner that has nothing queued is forgotten.
FORGET_MS = 86_400_000


def find_rank(at: int, priority: int, policy: Policy) -> int:
    """Of a job that comes at *at* (ms)."""
    return at - round(priority * policy.age_s * 1000)


def join_turns(db: Connection, class_id: int, owner: str, *, at: int) -> None:
    """The owner has a turn among those of the class, a new one behind the others; the row stays until the commit."""
    came = at - round(POLICY.turn_s * 1000)  # so that its first turn is noted
    mine = (job_turn.c.class_id == class_id) & (job_turn.c.owner == owner)
    held = select(job_turn.c.served_at).where(mine).with_for_update(read=True, key_share=True)
    while db.execute(held).first() is None:
        db.execute(insert_new(db, job_turn).values(class_id=class_id, owner=owner, served_at=came))


def take_turn(db: Connection, turn: Turn, *, at: int, policy: Policy) -> None:
    """Note it. Claims of one owner do not queue behind each other for it: one in `turn_s` is enough."""
    before = at - round(policy.turn_s * 1000)
    if turn.served_at > before:
        return
    mine = (job_turn.c.class_id == turn.class_id) & (job_turn.c.owner == turn.owner)
    old = select(job_turn.c.owner).where(mine, job_turn.c.served_at <= before)
    if db.execute(old.with_for_update(skip_locked=True, key_share=True)).first() is not None:
        db.execute(sa.update(job_turn).where(mine).values(served_at=at))


def ask_for_room(db: Connection, job: int, *, reason: str) -> bool:
    """Ask the agent (by its next beat) to give a running job back for one that is more urgent. False if it cannot."""
    row = lock_job(db, job)
    if row.state != State.RUNNING or row.room_asked_at is not None or row.cancel_asked_at is not None:
        return False
    at = now(db)
    move(db, row, jobs.ROOM_ASKED, at=at, reason=reason, values={"room_asked_at": at})
    hint(db, agent_topic(row.agent_id))
    return True


def forget_turns(db: Connection, *, at: int, limit: int = 100) -> None:
    """Forget owners that had no turn for a day and have nothing queued."""
    old = select(job_turn.c.class_id, job_turn.c.owner).where(job_turn.c.served_at < at - FORGET_MS)
    queued = sa.exists().where(
        job.c.class_id == job_turn.c.class_id, job.c.owner == job_turn.c.owner, job.c.state == State.QUEUED.value
    )
    for row in db.execute(old.where(~queued).limit(limit).with_for_update(skip_locked=True)).all():
        # Looked at once more under the lock: whoever enqueues holds the row.
        mine = (job_turn.c.class_id == row.class_id) & (job_turn.c.owner == row.owner)
        db.execute(sa.delete(job_turn).where(mine, ~queued))
