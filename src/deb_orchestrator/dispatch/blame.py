"""Blame over (builder, job): what a fault means for the builder. The rules are those of domain/hosts.py."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, select

from deb_orchestrator.domain.hosts import Standing, can_spare, judge
from deb_orchestrator.domain.jobs import Outcome, Policy
from deb_orchestrator.store.tables import agent, job_exclusion

COLUMNS = (agent.c.streak, agent.c.quarantines, agent.c.quarantined_until, agent.c.pools)


def read_standing(row: Row[Any]) -> Standing:
    """Of a row with `COLUMNS`."""
    return Standing(streak=row.streak, quarantines=row.quarantines, until=row.quarantined_until)


def judge_builder(db: Connection, job: Row[Any], outcome: Outcome, *, at: int, policy: Policy, reason: str) -> str:
    """Note what the end of a job's attempt says of its builder. Returns quarantined, released, or "" if neither.

    A cancelled job says nothing; a suspect one is to blame itself, and its faults are taken back.
    """
    agent_id = job.agent_id
    if outcome is Outcome.SUSPECT:
        _forgive(db, job.id, besides=agent_id)
    if outcome in (Outcome.SUSPECT, Outcome.CANCELLED, Outcome.LOST):
        return ""
    mine: sa.Select[Any] = select(*COLUMNS).where(agent.c.id == agent_id)
    row: Row[Any] = db.execute(mine).one()
    before = read_standing(row)
    if outcome is not Outcome.HOST and before == Standing():
        return ""
    row = db.execute(mine.with_for_update()).one()
    before = read_standing(row)
    spare = outcome is Outcome.HOST and before.streak + 1 >= policy.streak and _can_spare(db, row.pools, policy)
    after = judge(before, outcome, at=at, may_quarantine=spare, policy=policy)
    values: dict[str, Any] = {"streak": after.streak, "quarantines": after.quarantines}
    values |= {"quarantined_until": after.until, "quarantine_reason": reason[:500] if after.until else None}
    db.execute(sa.update(agent).where(agent.c.id == agent_id).values(**values))
    if after.until is not None:
        return "quarantined"
    return "released" if before.is_suspect else ""


def _forgive(db: Connection, job_id: int, *, besides: int) -> None:
    """The faults of a job do not count against its builders; that of *besides* was not counted yet."""
    blamed = select(job_exclusion.c.agent_id).where(
        job_exclusion.c.job_id == job_id, job_exclusion.c.agent_id != besides
    )
    for agent_id in sorted(db.execute(blamed).scalars()):
        query = sa.update(agent).where(agent.c.id == agent_id, agent.c.streak > 0)
        db.execute(query.values(streak=agent.c.streak - 1))


def _can_spare(db: Connection, pools: list[str], policy: Policy) -> bool:
    """Whether each of its pools can spare a builder. Two that fail at once may both be spared: no lock is worth it."""
    rows = db.execute(select(agent.c.pools, agent.c.quarantined_until).where(agent.c.state == "approved")).all()
    for pool in pools:
        mine = [row for row in rows if pool in row.pools]
        if not can_spare(len(mine), sum(row.quarantined_until is not None for row in mine), policy):
            return False
    return True
