"""What the database and the hub's host say of the farm at this moment, as gauges; and whether the hub can work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.pool import QueuePool

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.metrics import Gauge, Sample, make_labels
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import agent, job, job_class
from deb_orchestrator.store.tables_doors import delivery, webhook
from deb_orchestrator.store.tables_publish import publication, suite
from debcore.errors import Failure

#: An agent asks at least so often (seconds), parked or working; who has not is away.
AWAY_S = 120
#: Ended jobs are counted for so long (seconds).
RECENT_S = 3600


def list_gauges(hub: Hub) -> list[Gauge]:
    with hub.db.read() as db:
        at = now(db)
        return [
            Gauge("info", "The hub's version.", [Sample(1, make_labels({"version": version("deb-bootc-ecosystem")}))]),
            *_jobs(db, at), *_agents(db, at), *_suites(db, at), *_events(db), *_pools(hub),
        ]  # fmt: skip


def _jobs(db: Connection, at: int) -> list[Gauge]:
    states = sa.select(job.c.kind, job.c.state, sa.func.count().label("n")).where(job.c.ended_at.is_(None))
    ended = sa.select(job.c.kind, job.c.outcome, sa.func.count().label("n"))
    ended = ended.where(job.c.ended_at > at - RECENT_S * 1000, job.c.outcome.is_not(None))
    queued = sa.select(
        job_class.c.pool, job_class.c.arch, sa.func.count().label("n"), sa.func.min(job.c.changed_at).label("first")
    ).join(job_class, job_class.c.id == job.c.class_id)
    queued = queued.where(job.c.state == State.QUEUED.value).group_by(job_class.c.pool, job_class.c.arch)
    depths = db.execute(queued.order_by(job_class.c.pool, job_class.c.arch)).all()
    of = [make_labels({"pool": row.pool, "arch": row.arch or ""}) for row in depths]
    ages = [(at - row.first) / 1000 for row in depths]
    return [
        Gauge("jobs", "Jobs that have not ended, by kind and state.", [
            Sample(row.n, make_labels({"kind": row.kind, "state": row.state}))
            for row in db.execute(states.group_by(job.c.kind, job.c.state).order_by(job.c.kind, job.c.state))
        ]),
        Gauge("jobs_ended_last_hour", "Jobs that ended within an hour, by kind and outcome.", [
            Sample(row.n, make_labels({"kind": row.kind, "outcome": row.outcome}))
            for row in db.execute(ended.group_by(job.c.kind, job.c.outcome).order_by(job.c.kind, job.c.outcome))
        ]),
        Gauge("queue_jobs", "Queued jobs by what their builder must be.", [
            Sample(row.n, labels) for row, labels in zip(depths, of, strict=True)
        ]),
        Gauge("queue_oldest_seconds", "How long the oldest queued job has waited.", [
            Sample(age, labels) for age, labels in zip(ages, of, strict=True)
        ]),
    ]  # fmt: skip


def _agents(db: Connection, at: int) -> list[Gauge]:
    """One state for each: the first that holds of pending, revoked, disabled, quarantined, away, online."""
    states = ["pending", "revoked", "disabled", "quarantined", "away", "online"]
    counts = {(kind, state): 0 for kind in ("builder", "signer") for state in states}
    for row in db.execute(sa.select(agent).where(agent.c.token_hash.is_not(None))):
        if row.state != "approved":
            state = row.state
        elif row.paused_reason is not None:
            state = "disabled"
        elif row.quarantined_until is not None:
            state = "quarantined"
        else:
            state = "online" if row.seen_at is not None and row.seen_at > at - AWAY_S * 1000 else "away"
        counts["signer" if "sign" in row.pools else "builder", state] += 1
    samples = [Sample(n, make_labels({"kind": kind, "state": state})) for (kind, state), n in counts.items()]
    return [Gauge("agents", "Builders and signers by state.", samples)]


def _suites(db: Connection, at: int) -> list[Gauge]:
    live = sa.select(publication, suite.c.valid_s).join(suite, suite.c.name == publication.c.suite)
    waiting = sa.select(sa.func.count(), sa.func.min(publication.c.created_at)).where(publication.c.state == "signing")
    rows = db.execute(live.where(publication.c.state == "live").order_by(publication.c.suite)).all()
    count, first = db.execute(waiting).one()
    return [
        Gauge("suite_generation", "The generation of a suite that is served.", [
            Sample(row.generation, make_labels({"suite": row.suite})) for row in rows
        ]),
        Gauge("suite_generation_age_seconds", "Since the served generation was made.", [
            Sample((at - row.created_at) / 1000, make_labels({"suite": row.suite})) for row in rows
        ]),
        Gauge("suite_valid_seconds", "Until the served InRelease is too old for apt.", [
            Sample((row.created_at - at) / 1000 + row.valid_s, make_labels({"suite": row.suite}))
            for row in rows if row.valid_s is not None
        ]),
        Gauge("signatures_waiting", "Generations that wait for a signer.", [Sample(count)]),
        Gauge("signature_oldest_seconds", "How long the oldest of them has waited; 0: none waits.", [
            Sample((at - first) / 1000 if first is not None else 0)
        ]),
    ]  # fmt: skip


def _events(db: Connection) -> list[Gauge]:
    last = last_event(db)
    behind = db.execute(sa.select(webhook.c.name, webhook.c.after).order_by(webhook.c.name)).all()
    sent = sa.select(delivery.c.webhook, delivery.c.state, sa.func.count().label("n")).where(
        delivery.c.state.in_(["pending", "dead"])
    )
    return [
        Gauge("events", "The number of the last event.", [Sample(last)]),
        Gauge("webhook_lag_events", "Events that no delivery was made of yet.", [
            Sample(last - row.after, make_labels({"webhook": row.name})) for row in behind
        ]),
        Gauge("webhook_deliveries", "Deliveries that are pending or were given up.", [
            Sample(row.n, make_labels({"webhook": row.webhook, "state": row.state}))
            for row in db.execute(sent.group_by(delivery.c.webhook, delivery.c.state))
        ]),
    ]  # fmt: skip


def _pools(hub: Hub) -> list[Gauge]:
    engines = {"read": hub.db.read_engine, "write": hub.db.write_engine}
    found = [(name, one.pool) for name, one in engines.items() if isinstance(one.pool, QueuePool)]
    used = [Sample(pool.checkedout(), make_labels({"pool": name})) for name, pool in found]
    return [Gauge("database_connections", "Connections in use.", used)]


@dataclass(frozen=True)
class Check:
    """One thing that a hub needs. `problem` "": it has it."""

    name: str
    problem: str


def check_readiness(hub: Hub) -> Sequence[Check]:
    return [
        Check("database", _problem_of_database(hub)),
        Check("store", _problem_of_store(hub)),
        Check("signer", _problem_of_signer(hub)),
    ]


def _problem_of_database(hub: Hub) -> str:
    try:
        with hub.db.write() as db:
            last_event(db)
    except (sa.exc.SQLAlchemyError, Failure, OSError):
        return "it does not answer"
    return ""


def _problem_of_store(hub: Hub) -> str:
    try:
        with hub.blobs.incoming(limit=16) as new:
            new.write(b"ready")
    except (Failure, OSError):
        return "it cannot be written"
    return ""


def _problem_of_signer(hub: Hub) -> str:
    try:
        with hub.db.read() as db:
            seen = sa.select(agent.c.pools, agent.c.seen_at).where(agent.c.state == "approved")
            signers = [row.seen_at for row in db.execute(seen) if "sign" in row.pools]
            since = now(db) - AWAY_S * 1000
    except (sa.exc.SQLAlchemyError, OSError):
        return "not known"
    if not signers:
        return "none is approved"
    return "" if any(at is not None and at > since for at in signers) else f"none was seen for {AWAY_S} s"
