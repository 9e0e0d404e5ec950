"""Agents and signers: enrol, approve, revoke, and their claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, insert, literal, or_, select, true, update

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.grants import hash_secret
from deb_orchestrator.dispatch.moves import agent_topic
from deb_orchestrator.dispatch.queue import find_heads, find_queued
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.hosts import find_refusal
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import agent, agent_boot, hub_heartbeat, job, job_attempt, pool
from debcore.hub import model
from debcore.job import API as JOB_API

#: The signers'.
SIGN_POOL = "sign"
#: Written into the SQL text: the planner must see that the partial index serves.
_RUNNING = literal(jobs.State.RUNNING.value, literal_execute=True)
#: Agents up to which what they run is asked for by their ids.
_NAMED = 500
#: Agents that may wait to be approved at a time.
MAX_PENDING = 100


def enrol(hub: Hub, ask: model.Enrol, *, state: model.AgentState = model.AgentState.PENDING) -> model.Agent:
    """Note an agent that asks to be let in; the same name and token again is the same agent.

    Errors: Conflict if the name belongs to another token and is not merely pending.
    """
    hashed = hash_token(ask.token)
    pools = [ask.pool]
    with hub.db.write() as db:
        row = db.execute(select(agent).where(agent.c.name == ask.name)).one_or_none()
        if row is None and state == model.AgentState.PENDING:
            _check_room(db)
        facts = {"version": ask.version}
        offer = {"pools": pools, "arches": list(ask.arches), "capabilities": list(ask.capabilities), "facts": facts}
        offer |= {
            "emulates": list(ask.emulates),
            "memory_mb": ask.memory_mb,
            "disk_mb": ask.disk_mb,
            "slots": ask.slots,
        }
        if row is None:
            values = {"name": ask.name, "token_hash": hashed, "state": state.value, "created_at": now(db)}
            db.execute(insert(agent).values(**values, **offer))
            data = {"agent": ask.name, "state": state.value, "fingerprint": hashed[:16]}
            append_events(db, [NewEvent(type="agent.enrolled", data=data)])
        elif row.token_hash == hashed:
            # What an approved agent offers may change, but never the pool it was approved for.
            if row.state == "approved":
                offer.pop("pools")
            db.execute(update(agent).where(agent.c.id == row.id).values(**offer))
        elif row.state == "pending" or state == model.AgentState.APPROVED:
            db.execute(update(agent).where(agent.c.id == row.id).values(token_hash=hashed, state=state.value, **offer))
        else:
            raise Conflict(f"the name {ask.name} is taken", hint="choose another with: agent --name")
    return find_agent(hub, ask.name)


def _check_room(db: Connection) -> None:
    """Anybody may ask to be let in: how many may wait is bounded."""
    waiting = db.execute(select(func.count()).where(agent.c.state == "pending")).scalar_one()
    if waiting >= MAX_PENDING:
        raise Conflict("too many agents wait to be approved", hint="approve or revoke some first")


def find_agent(hub: Hub, name: str) -> model.Agent:
    with hub.db.read() as db:
        return read_agents(db, [_row(db, name)])[0]


def list_agents(hub: Hub) -> list[model.Agent]:
    with hub.db.read() as db:
        rows = db.execute(select(agent).where(agent.c.token_hash.isnot(None)).order_by(agent.c.name)).all()
        return read_agents(db, rows)


def approve(hub: Hub, who: Principal, name: str) -> model.Agent:
    """Errors: NotFound; Conflict if it was revoked (it must enrol anew with another token)."""
    with hub.db.write() as db:
        row = _row(db, name)
        if row.state == "revoked":
            raise Conflict(f"agent {name} was revoked", hint="remove its token file, and it enrols anew")
        if row.state == "pending":
            values = {"state": "approved", "approved_at": now(db)}
            db.execute(update(agent).where(agent.c.id == row.id).values(**values))
            log_audit(db, who, "agent.approve", name, {"fingerprint": (row.token_hash or "")[:16]})
            append_events(db, [NewEvent(type="agent.approved", data={"agent": name}, by=who.name)])
    return find_agent(hub, name)


def revoke(hub: Hub, who: Principal, name: str) -> model.Agent:
    """At once: its token and its grants end; what it held goes back to the queue when the lease ends."""
    with hub.db.write() as db:
        row = _row(db, name)
        db.execute(update(agent).where(agent.c.id == row.id).values(state="revoked"))
        log_audit(db, who, "agent.revoke", name)
        hint(db, agent_topic(row.id))  # a parked claim hears of it at once
        append_events(db, [NewEvent(type="agent.revoked", data={"agent": name}, by=who.name)])
    return find_agent(hub, name)


def find_offer(db: Connection, agent_id: int, *, disk_mb: int | None = None) -> jobs.Offer:
    """What the agent may be given: its row says it, not its claim. *disk_mb*: free now, if it said so."""
    row = db.execute(select(agent).where(agent.c.id == agent_id)).one()
    return read_offer(row, load_trusts(db), disk_mb=disk_mb)


def read_offer(row: Row[Any], trusts: Mapping[str, int], *, disk_mb: int | None = None) -> jobs.Offer:
    """Of an agent's row."""
    return jobs.Offer(
        pools=frozenset(row.pools), arches=frozenset(row.arches), capabilities=frozenset(row.capabilities),
        emulated=frozenset(row.emulates), memory_mb=row.memory_mb,
        disk_mb=row.disk_mb if disk_mb is None else disk_mb, trusts=trusts,
    )  # fmt: skip


def load_trusts(db: Connection) -> dict[str, int]:
    """How far pools are trusted; those without a row with 0."""
    return {row.name: row.trust for row in db.execute(select(pool))}


def find_maintenance(db: Connection) -> str | None:
    """Why no builder gets new work, or None."""
    reason: str | None = db.execute(select(hub_heartbeat.c.maintenance)).scalar_one()
    return reason


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one try to claim got, and found: the classes that the agent `fits`, those that are `known`, and, if it got
    nothing, those of the first that have jobs all the same, which are not for this agent now (`left`)."""

    claimed: jobs.Claimed | None = None
    fits: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()
    left: frozenset[int] = frozenset()


def claim(hub: Hub, agent_id: int, ask: model.ClaimAsk, *, first: bool) -> Look:
    """One try. *first* is the first one of a call: it reaches the statement if that has more to do than to look.

    Errors: UnknownAgent once the agent is revoked.
    All look with a read connection first, so that agents that wait write nothing.
    """
    if not set(ask.api) & set(JOB_API):
        raise Conflict(
            f"the agent's tool speaks job directories {ask.api}, this hub {JOB_API}", hint="upgrade the older of them"
        )
    with hub.db.read() as db:
        row = db.execute(_ASKING, {"agent": agent_id}).one_or_none()
        if row is None or row.state != "approved":
            raise jobs.UnknownAgent("this agent was revoked", hint="ask the hub's admin")
        offer = read_offer(row, load_trusts(db), disk_mb=ask.disk_mb)
        idle = row.maintenance is not None and SIGN_POOL not in offer.pools  # what is built is still published
        known = hub.classes.find(db)
        if idle or row.paused_reason is not None:
            classes: tuple[int, ...] = ()
        else:
            classes = tuple(id_ for id_, wants in known.items() if not find_refusal(offer, wants))
        look = Look(fits=frozenset(classes), known=frozenset(known))
        if not (classes and find_heads(db, agent_id, classes)) and not (first and _has_news(db, agent_id, ask)):
            if first:
                hub.seen.note(agent_id, now(db))
                return look
            return replace(look, left=find_queued(db, look.fits))
    held = [jobs.Held(one.job, one.attempt) for one in ask.held]
    with hub.db.write() as db:
        got = statements.claim(db, agent_id, ask.claim_id, classes, ask.boot_id, held, policy=hub.policy)
        return replace(look, claimed=got, left=frozenset() if got or first else find_queued(db, look.fits))


def _has_news(db: Connection, agent_id: int, ask: model.ClaimAsk) -> bool:
    """True if a claim does something though there is no job: it is one that was answered, or the first of a boot."""
    values = {"agent": agent_id, "boot": ask.boot_id, "claim": hash_secret(ask.claim_id)}
    return bool(db.execute(_NEWS, values).scalar_one())


def _make_news() -> Select[Any]:
    boots, attempt = agent_boot.c, job_attempt.c
    booted = exists().where(boots.agent_id == bindparam("agent"), boots.boot_id == bindparam("boot"))
    answered = exists().where(attempt.agent_id == bindparam("agent"), attempt.claim_hash == bindparam("claim"))
    return select(or_(~booted, answered))


# Made once: every agent that waits asks both.
_NEWS = _make_news()
_ASKING = (
    select(agent, hub_heartbeat.c.maintenance)
    .join_from(agent, hub_heartbeat, true())
    .where(agent.c.id == bindparam("agent"))
)


def list_queued(hub: Hub) -> frozenset[int]:
    """The classes that have jobs."""
    with hub.db.read() as db:
        return find_queued(db)


def _row(db: Connection, name: str) -> Row[Any]:
    row = db.execute(select(agent).where(agent.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no agent {name}", hint="list them with: deb-orchestrator agent list")
    return row


def read_agents(db: Connection, rows: Sequence[Row[Any]]) -> list[model.Agent]:
    """Of rows of table agent, in as many statements for a thousand as for one."""
    trusts = load_trusts(db)
    running = select(job.c.id, job.c.agent_id).where(job.c.state == _RUNNING)
    if len(rows) <= _NAMED:
        running = running.where(job.c.agent_id.in_([row.id for row in rows]))
    held: dict[int, list[int]] = {}
    for one in db.execute(running.order_by(job.c.id)):
        held.setdefault(one.agent_id, []).append(one.id)
    return [_model(row, trusts, held.get(row.id, ())) for row in rows]


def _model(row: Row[Any], trusts: Mapping[str, int], held: Sequence[int]) -> model.Agent:
    return model.Agent(
        name=row.name, state=row.state, pool=(row.pools or ["default"])[0], arches=tuple(row.arches),
        capabilities=tuple(row.capabilities), version=(row.facts or {}).get("version", ""),
        fingerprint=(row.token_hash or "")[:16], seen_at=as_datetime(row.seen_at) if row.seen_at else None,
        jobs=tuple(held),
        trust=trusts.get((row.pools or ["default"])[0], 0), emulates=tuple(row.emulates),
        memory_mb=row.memory_mb, disk_mb=row.disk_mb, slots=row.slots, disabled=row.paused_reason,
        quarantined_until=as_datetime(row.quarantined_until) if row.quarantined_until else None,
        quarantine=row.quarantine_reason,
    )  # fmt: skip
