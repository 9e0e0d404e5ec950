"""What an admin decides about builders: off and on, their pool and its trust, and maintenance of the whole farm."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.moves import agent_topic
from deb_orchestrator.services.agents import SIGN_POOL, find_agent, find_maintenance, load_trusts
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.targets import HUB_POOL
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import agent, hub_heartbeat, pool
from debcore.hub import model
from debcore.hub.hosts import Farm


def set_disabled(hub: Hub, who: Principal, name: str, reason: str | None) -> model.Agent:
    """With *reason* it gets no new work, what it holds goes on; without it is enabled, out of quarantine too.

    Errors: NotFound.
    """
    with hub.db.write() as db:
        id_ = _find(db, name)
        values: dict[str, object] = {"paused_reason": reason}
        if reason is None:
            values |= {"streak": 0, "quarantines": 0, "quarantined_until": None, "quarantine_reason": None}
        db.execute(sa.update(agent).where(agent.c.id == id_).values(**values))
        action = "disabled" if reason else "enabled"
        log_audit(db, who, f"host.{action}", name, {"reason": reason})
        hint(db, agent_topic(id_))
        data = {"agent": name} | ({"reason": reason} if reason else {})
        append_events(db, [NewEvent(type=f"agent.{action}", data=data, by=who.name)])
    return find_agent(hub, name)


def set_pool(hub: Hub, who: Principal, name: str, pool_name: str) -> model.Agent:
    """It takes jobs of that pool only. Errors: NotFound; Conflict for signers, and for pools that are not builders'."""
    with hub.db.write() as db:
        id_ = _find(db, name)
        held = db.execute(sa.select(agent.c.pools).where(agent.c.id == id_)).scalar_one()
        if pool_name in (SIGN_POOL, HUB_POOL, "solve") or SIGN_POOL in held:
            raise Conflict(f"{name} cannot move to {pool_name}", hint="only builders move, and to builders' pools")
        db.execute(sa.update(agent).where(agent.c.id == id_).values(pools=[pool_name]))
        log_audit(db, who, "host.pool", name, {"pool": pool_name})
        hint(db, agent_topic(id_))
        append_events(db, [NewEvent(type="agent.pool", data={"agent": name, "pool": pool_name}, by=who.name)])
    return find_agent(hub, name)


def set_trust(hub: Hub, who: Principal, name: str, trust: int) -> Farm:
    """How far a pool is trusted: jobs that require more do not go there."""
    with hub.db.write() as db:
        db.execute(sa.delete(pool).where(pool.c.name == name))
        if trust:
            db.execute(sa.insert(pool).values(name=name, trust=trust))
        log_audit(db, who, "pool.trust", name, {"trust": trust})
        _wake_agents(db)
        append_events(db, [NewEvent(type="pool.trust", data={"pool": name, "trust": trust}, by=who.name)])
    return get_farm(hub)


def set_maintenance(hub: Hub, who: Principal, reason: str | None) -> Farm:
    """With *reason* no builder gets new work; what runs goes on, what is built is published, requests are taken."""
    with hub.db.write() as db:
        db.execute(sa.update(hub_heartbeat).values(maintenance=reason))
        log_audit(db, who, "farm.maintenance", "farm", {"reason": reason})
        _wake_agents(db)
        append_events(db, [NewEvent(type="farm.maintenance", data={"reason": reason}, by=who.name)])
    return get_farm(hub)


def _wake_agents(db: Connection) -> None:
    """What their claims know of classes is not so any more."""
    for id_ in db.execute(sa.select(agent.c.id).where(agent.c.state == "approved")).scalars():
        hint(db, agent_topic(id_))


def get_farm(hub: Hub) -> Farm:
    with hub.db.read() as db:
        return Farm(maintenance=find_maintenance(db), pools=load_trusts(db))


def _find(db: Connection, name: str) -> int:
    mine = sa.select(agent.c.id).where(agent.c.name == name, agent.c.token_hash.isnot(None))
    id_ = db.execute(mine.with_for_update()).scalar_one_or_none()
    if id_ is None:
        raise NotFound(f"there is no host {name[:64]}", hint="list them with: deb-orchestrator list-hosts")
    return int(id_)
