"""Builders as pages list them: counted by state and pool, and some of them by name. A page costs what is on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, literal, select

from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.agents import read_agents
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.sight import hide_faults, load_sight
from deb_orchestrator.store.tables import agent, job
from debcore.hub.model import Agent

#: In the order in which people look for them.
STATES = ("pending", "quarantined", "disabled", "busy", "idle", "revoked")


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """`counts`: of all builders, by state; `pools`: all there are. `after`: name to go on from; None: that was all."""

    agents: tuple[Agent, ...]
    counts: Mapping[str, int]
    pools: tuple[str, ...]
    after: str | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def list_hosts(
    hub: Hub, who: Principal, *, state: str = "", pool: str = "", part: str = "", after: str = "", limit: int = 100
) -> Hosts:
    """By name. *state*: one of STATES; *part*: of the name; "": all."""
    query = select(agent).where(agent.c.token_hash.is_not(None)).order_by(agent.c.name).limit(limit + 1)
    if state:
        query = query.where(_state() == state)
    if pool:
        query = query.where(_pool() == pool)
    if part:
        query = query.where(agent.c.name.contains(part, autoescape=True))
    if after:
        query = query.where(agent.c.name > after)
    with hub.db.read() as db:
        rows = db.execute(query).all()
        found = hide_faults(load_sight(db, who), read_agents(db, rows[:limit]))
        counts, pools = _count(db)
    return Hosts(
        agents=tuple(found), counts=counts, pools=pools, after=found[-1].name if len(rows) > limit else None
    )  # fmt: skip


def _count(db: Connection) -> tuple[dict[str, int], tuple[str, ...]]:
    every = select(_state().label("state"), _pool().label("pool")).where(agent.c.token_hash.is_not(None)).subquery()
    query = select(every.c.state, every.c.pool, func.count().label("n")).group_by(every.c.state, every.c.pool)
    counts: dict[str, int] = dict.fromkeys(STATES, 0)
    pools = set()
    for row in db.execute(query):
        counts[row.state] += row.n
        pools.add(row.pool)
    return {state: n for state, n in counts.items() if n}, tuple(sorted(pools))


def _state() -> ColumnElement[str]:
    """The word that a page has for what a builder is up to."""
    running = literal(State.RUNNING.value, literal_execute=True)  # the planner must see that a partial index serves
    holds = agent.c.id.in_(select(job.c.agent_id).where(job.c.state == running))
    return case(
        (agent.c.state != "approved", agent.c.state),
        (agent.c.paused_reason.is_not(None), "disabled"),
        (agent.c.quarantined_until.is_not(None), "quarantined"),
        (holds, "busy"),
        else_="idle",
    )


def _pool() -> ColumnElement[str]:
    return func.coalesce(agent.c.pools[0].as_string(), "default")
