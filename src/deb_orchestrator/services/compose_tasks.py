"""Tasks of composes that agents carry out: ordered by a client, read and cancelled by the same.

The hub carries inputs and outputs by hash and knows nothing of what is done with them. An order is a job of kind
`task`; the same order again is the same job, for as long as it may still succeed or its outputs are here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch import statements
from deb_orchestrator.domain import jobs
from deb_orchestrator.services.access import check_read
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import rely_on
from deb_orchestrator.services.sight import check_sources
from deb_orchestrator.services.takers import explain_queued
from deb_orchestrator.services.uploads import check_blobs
from deb_orchestrator.store.tables import agent, job
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.tasks import OrderedTask, TaskAsk
from debcore.job import Result

KIND = "task"
#: What an agent must be able to do.
CAPABILITY = "task"
#: Lost leases and host faults of one order.
MAX_ATTEMPTS = 3


def order_task(hub: Hub, who: Principal, ask: TaskAsk) -> int:
    """The job's number. Errors: NotFound (the suite); Failure if an input is not here, or is hidden from *who*."""
    if ask.job.kind != KIND:
        raise Failure(f"a job of kind {ask.job.kind} is no task")
    check_sources(hub, who, [(one.path, one.sha256) for one in ask.job.inputs])
    spec = model.BuildSpec(job=ask.job, suite=ask.suite).model_dump(mode="json")
    digest = hashlib.sha256(json.dumps([who.name, ask.arch, spec], sort_keys=True).encode()).hexdigest()
    with hub.db.write() as db:
        if ask.suite:
            check_read(db, who, ask.suite)
        check_blobs(db, hub.blobs, [(one.path, one.sha256, one.size) for one in ask.job.inputs])
        before = _list_keyed(db, digest)
        if before and _still_good(db, hub, before[-1]):
            return int(before[-1].id)
        requires = jobs.Requirement(arch=ask.arch, capabilities=frozenset({CAPABILITY}), emulated=True)
        new = jobs.NewJob(
            kind=KIND, spec=spec, requires=requires, owner=who.name, arch=ask.arch, max_attempts=MAX_ATTEMPTS,
            key=f"{KIND}:{digest}:{len(before)}",
        )  # fmt: skip
        made = statements.enqueue(db, new)
        log_audit(db, who, "task.order", str(made), {"arch": ask.arch, "inputs": len(ask.job.inputs)})
    return made


def _list_keyed(db: Connection, digest: str) -> list[Row[Any]]:
    """The jobs of one order, oldest first."""
    query = sa.select(job.c.id, job.c.state, job.c.cancel_asked_at, job.c.result)
    return list(db.execute(query.where(job.c.key.startswith(f"{KIND}:{digest}:")).order_by(job.c.id)))


def _still_good(db: Connection, hub: Hub, row: Row[Any]) -> bool:
    if row.state != jobs.State.SUCCEEDED.value:
        return row.state in {one.value for one in jobs.OPEN} and row.cancel_asked_at is None
    try:
        rely_on(db, hub.blobs, [output.sha256 for output in Result.model_validate(row.result).outputs])
    except Failure:
        return False  # collected
    return True


def get_task(hub: Hub, who: Principal, number: int) -> OrderedTask:
    """Errors: NotFound, also for what another client has ordered."""
    with hub.db.read() as db:
        row = _find(db, who, number)
        why: tuple[model.Reason, ...] = ()
        if row.state == jobs.State.QUEUED.value:
            why = (explain_queued(db, f"job {number}", number, frank=who.scope == "admin"),)
    ended = row.state in {one.value for one in jobs.TERMINAL}
    return OrderedTask(
        job=row.id, state=row.state, attempt=row.attempt, agent=row.agent_name, why=why,
        reason=row.reason or row.cancel_reason or "",
        result=Result.model_validate(row.result) if ended and row.result else None,
    )  # fmt: skip


def cancel_task(hub: Hub, who: Principal, number: int) -> OrderedTask:
    """Errors: NotFound; Conflict if it has ended."""
    with hub.db.write() as db:
        row = _find(db, who, number)
        if not statements.cancel(db, row.id, reason=f"cancelled by {who.name}").changed:
            raise Conflict(f"job {number} is {row.state}, and cannot be cancelled any more")
        log_audit(db, who, "task.cancel", str(number))
    return get_task(hub, who, number)


def _find(db: Connection, who: Principal, number: int) -> Row[Any]:
    query = sa.select(job, agent.c.name.label("agent_name")).outerjoin(agent, agent.c.id == job.c.agent_id)
    query = query.where(job.c.id == number, job.c.kind == KIND)
    if who.scope != "admin":
        query = query.where(job.c.owner == who.name)
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no task {number}", hint="list them with: deb-orchestrator list-tasks --kind task")
    return row
