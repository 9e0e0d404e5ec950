"""Jobs of every kind, open and ended: Koji's tasks. Without what the reader may not see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select

from deb_orchestrator.domain.jobs import OPEN, State
from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.lists import BuildLine, read_lines
from deb_orchestrator.services.sight import load_sight
from deb_orchestrator.services.takers import explain_queued
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import agent, job, job_class, job_log
from debcore.errors import Failure
from debcore.hub.model import Reason
from debcore.hub.records import Move, Task, TaskShow

#: A word for all states that a job can still leave.
OPEN_WORD = "open"
#: Transitions of one job that are shown: the last.
MOVES = 200


@dataclass(frozen=True, kw_only=True)
class WantedTasks:
    """Which jobs; None: all. `state`: one, or `open`. `agent`: who has it, or had it last. `before`: a job's number."""

    state: str | None = None
    kind: str | None = None
    arch: str | None = None
    owner: str | None = None
    agent: str | None = None
    before: int | None = None


def list_tasks(hub: Hub, who: Principal, wanted: WantedTasks, *, limit: int = 50) -> list[Task]:
    """Newest first. Errors: Failure on a state that there is not."""
    query = _select().order_by(job.c.id.desc()).limit(limit).where(*_tests(wanted))
    with hub.db.read() as db:
        rows = db.execute(query.where(load_sight(db, who).jobs())).all()
        builds = _load_lines(db, rows)
        return [Task(**_fields(row, builds)) for row in rows]


def get_task(hub: Hub, who: Principal, number: int) -> TaskShow:
    """Errors: NotFound."""
    with hub.db.read() as db:
        sight = load_sight(db, who)
        row = db.execute(_select().where(job.c.id == number, sight.jobs())).one_or_none()
        if row is None:
            raise NotFound(f"there is no job {number}", hint="list them with: deb-orchestrator list-tasks")
        why: list[Reason] = []
        if row.state == State.QUEUED.value:
            why.append(explain_queued(db, f"job {number}", number, frank=sight.whole))
        return TaskShow(**_fields(row, _load_lines(db, [row])), moves=tuple(_load_moves(db, number)), why=tuple(why))


def _select() -> Select[Any]:
    columns = (job, agent.c.name.label("agent_name"), job_class.c.arch.label("class_arch"))
    query = sa.select(*columns).join(job_class, job_class.c.id == job.c.class_id)
    return query.outerjoin(agent, agent.c.id == job.c.agent_id)


def _tests(wanted: WantedTasks) -> list[sa.ColumnElement[bool]]:
    tests: list[sa.ColumnElement[bool]] = []
    if wanted.state == OPEN_WORD:
        tests += [job.c.ended_at.is_(None), job.c.state.in_([one.value for one in OPEN])]
    elif wanted.state is not None:
        if wanted.state not in {one.value for one in State}:
            known = ", ".join([OPEN_WORD, *(one.value for one in State)])
            raise Failure(f"{wanted.state[:32]!r} is no state of a job", hint=f"there are {known}")
        tests.append(job.c.state == wanted.state)
    pairs: tuple[tuple[Any, str | None], ...] = (
        (job.c.kind, wanted.kind),
        (sa.func.coalesce(job.c.arch, job_class.c.arch), wanted.arch),
        (job.c.owner, wanted.owner),
        (agent.c.name, wanted.agent),
    )
    tests += [column == value for column, value in pairs if value is not None]
    if wanted.before is not None:
        tests.append(job.c.id < wanted.before)
    return tests


def _load_lines(db: Connection, rows: Iterable[Row[Any]]) -> dict[int, BuildLine]:
    return {line.id: line for line in read_lines(db, {row.build_id for row in rows if row.build_id is not None})}


def _fields(row: Row[Any], builds: dict[int, BuildLine]) -> dict[str, Any]:
    line = builds.get(row.build_id)
    return {
        "job": row.id, "kind": row.kind, "state": row.state, "arch": row.arch or row.class_arch, "owner": row.owner,
        "priority": row.priority, "attempt": row.attempt, "created_at": as_datetime(row.created_at),
        "changed_at": as_datetime(row.changed_at), "ended_at": as_datetime(row.ended_at) if row.ended_at else None,
        "agent": row.agent_name, "build": row.build_id, "source": line.source if line else "",
        "version": line.version if line else "", "suite": line.suite if line else str(row.spec.get("suite", "")),
        "trace": row.trace, "outcome": row.outcome or "", "reason": row.reason or row.cancel_reason or "",
    }  # fmt: skip


def _load_moves(db: Connection, number: int) -> list[Move]:
    query = sa.select(job_log, agent.c.name.label("agent_name")).outerjoin(agent, agent.c.id == job_log.c.agent_id)
    query = query.where(job_log.c.job_id == number).order_by(job_log.c.id.desc()).limit(MOVES)
    return [
        Move(
            at=as_datetime(row.at), name=row.name, state=row.target, attempt=row.attempt, agent=row.agent_name,
            reason=row.reason or "",
        )
        for row in reversed(db.execute(query).all())
    ]  # fmt: skip
