"""Room for what is urgent: a mass rebuild gives a builder back before an interactive build has waited for a minute.

A job below priority 0 gives way. Whatever else has waited for `WAITS_S` seconds while every builder that fits is full
has the youngest such job given back: its agent hears with the next beat (18 s at most), stops the build within ten
more, and is not blamed. With the rounds of this module that is below a minute. domain/hosts.py says which job it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.classes import read_class
from deb_orchestrator.dispatch.turns import ask_for_room, forget_turns
from deb_orchestrator.domain.hosts import Running, Waiting, find_refusal, plan_yields
from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.agents import find_maintenance, load_trusts, read_offer
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables import agent, job, job_attempt, job_class, job_turn

#: Seconds that a job waits before others make room for it.
WAITS_S = 15
#: Waiting jobs that are looked at in one round.
MOST = 100
#: What only builders do; signers and hubs are never full for long.
KINDS = ("build", "check")


def make_room(db: Connection) -> None:
    """One round; safe to repeat, and to run on several hubs."""
    at = now(db)
    if find_maintenance(db) is not None:
        return
    old = sa.select(job.c.id, job.c.class_id).where(job.c.state == State.QUEUED.value, job.c.kind.in_(KINDS))
    old = old.where(job.c.priority >= 0, job.c.changed_at < at - WAITS_S * 1000).order_by(job.c.rank).limit(MOST)
    waiting = db.execute(old).all()
    if not waiting:
        return
    agents = {
        row.id: row
        for row in db.execute(sa.select(agent).where(agent.c.state == "approved", agent.c.paused_reason.is_(None)))
        if row.quarantined_until is None
    }
    trusts = load_trusts(db)
    offers = {id_: read_offer(row, trusts) for id_, row in agents.items()}
    classes = sa.select(job_class).where(job_class.c.id.in_({row.class_id for row in waiting}))
    fits = {
        one.id: frozenset(id_ for id_, offer in offers.items() if not find_refusal(offer, read_class(one)))
        for one in db.execute(classes)
    }
    free = {id_: row.slots for id_, row in agents.items()}
    running = []
    this = (job_attempt.c.job_id == job.c.id) & (job_attempt.c.attempt == job.c.attempt)
    columns = (job.c.id, job.c.agent_id, job.c.priority, job.c.room_asked_at, job_attempt.c.claimed_at)
    held = sa.select(*columns).join(job_attempt, this).where(job.c.state == State.RUNNING.value)
    for row in db.execute(held):
        if row.agent_id in free:
            free[row.agent_id] -= 1
            if row.priority < 0:
                asked = row.room_asked_at is not None
                running.append(Running(row.id, row.agent_id, row.claimed_at, asked))
    plan = plan_yields([Waiting(row.id, fits[row.class_id]) for row in waiting], running, free)
    for id_, urgent in sorted(plan.items()):
        ask_for_room(db, id_, reason=f"job {urgent}, which is more urgent, waits for a builder")


def tend_turns(db: Connection) -> None:
    """Forget old owners; hubs of the last release enqueue without telling whose turn it is."""
    at = now(db)
    known = sa.select(job_turn.c.class_id).where(job_turn.c.owner == "")
    for class_id in list(db.execute(sa.select(job_class.c.id).where(job_class.c.id.not_in(known))).scalars()):
        db.execute(insert_new(db, job_turn).values(class_id=class_id, owner="", served_at=at))
    forget_turns(db, at=at)
