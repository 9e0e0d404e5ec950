"""What becomes of stored times when no hub was alive for a while, or the database's clock was set.

A clock set forward looks like a time without hubs, and costs nobody a lease. One that was set back must not leave times
behind that lie a day ahead: leases, builders that keep off a job, quarantines, turns.
"""

from __future__ import annotations

from sqlalchemy import Connection, case, select, update

from deb_orchestrator.dispatch.attempts import as_ms
from deb_orchestrator.domain.jobs import Policy, State
from deb_orchestrator.store import tables as t


def correct_times(db: Connection, gap: int, *, at: int, policy: Policy) -> None:
    """*gap*: ms since a hub was last alive; below 0 the clock was set back. *at*: now, ms."""
    if 0 <= gap <= as_ms(policy.gap_s):
        return
    _correct_leases(db, gap, at=at, policy=policy)
    if gap < 0:
        _follow_back(db, gap, at=at)


def _correct_leases(db: Connection, gap: int, *, at: int, policy: Policy) -> None:
    """Extend running leases by a gap without any hub. No lease ever lies further ahead than a fresh one."""
    longest = at + as_ms(policy.lease_s)
    extended = t.job.c.lease_until + max(gap, 0)  # a clock set back only needs the cap
    running = select(t.job.c.id).where(t.job.c.state == State.RUNNING.value).order_by(t.job.c.id)
    ids = list(db.execute(running.with_for_update()).scalars())
    for start in range(0, len(ids), 500):
        db.execute(
            update(t.job)
            .where(t.job.c.id.in_(ids[start : start + 500]))
            .values(lease_until=case((extended > longest, longest), else_=extended))
        )


def _follow_back(db: Connection, gap: int, *, at: int) -> None:
    """Move what lies ahead back with the clock. A builder that is claiming just now keeps its time: claims lock it."""
    until = t.job_exclusion.c.until_at
    db.execute(update(t.job_exclusion).where(until > at).values(until_at=until + gap))
    quarantine = t.agent.c.quarantined_until
    builders = select(t.agent.c.id).where(quarantine > at).with_for_update(skip_locked=True)
    ids = list(db.execute(builders).scalars())
    db.execute(update(t.agent).where(t.agent.c.id.in_(ids)).values(quarantined_until=quarantine + gap))
    served = t.job_turn.c.served_at
    db.execute(update(t.job_turn).where(served > at).values(served_at=served + gap))
