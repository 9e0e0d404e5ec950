"""The queue as people read it: what waits and runs, each with the reason, without what the reader may not see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.agents import SIGN_POOL, find_maintenance
from deb_orchestrator.services.asking import SOLVE_POOL
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.lists import BuildLine, read_lines
from deb_orchestrator.services.sight import load_sight
from deb_orchestrator.services.takers import load_builders, say_queued, select_with_class
from deb_orchestrator.services.targets import HUB_POOL
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import agent, job, job_attempt, job_class, job_wait

#: States of jobs that have not ended, as the page has them.
OPEN = (State.QUEUED, State.RUNNING, State.BLOCKED)
PAGE = 50
#: Their jobs are taken by hubs and signers, which need no explaining.
_OWN_POOLS = (HUB_POOL, SOLVE_POOL, SIGN_POOL)


@dataclass(frozen=True, kw_only=True)
class QueueLine:
    """One job. `since`: when it came into its state; `fact` and `next`: as `why` says."""

    job: int
    kind: str
    arch: str
    owner: str
    priority: int
    since: datetime
    suite: str = ""
    build: BuildLine | None = None
    agent: str | None = None
    fact: str = ""
    next: str = ""


@dataclass(frozen=True)
class Count:
    """Jobs of one architecture ("" for the hub's and the signer's own) by state."""

    arch: str
    jobs: Mapping[State, int]


@dataclass(frozen=True)
class Queue:
    """`next`: the offset of the next page; None: there is none."""

    lines: tuple[QueueLine, ...]
    counts: tuple[Count, ...]
    maintenance: str | None
    next: int | None = None

    def total(self, state: State) -> int:
        """Jobs of all architectures in *state*, hidden ones too."""
        return sum(one.jobs.get(state, 0) for one in self.counts)


def get_queue(hub: Hub, who: Principal, state: State, *, arch: str = "", offset: int = 0) -> Queue:
    """Jobs in *state*, in the order of their ranks; what runs, the longest first."""
    order = (job.c.changed_at, job.c.id) if state is State.RUNNING else (job.c.rank, job.c.id)
    query = (
        select_with_class()
        .where(job.c.state == state.value, job.c.ended_at.is_(None))
        .order_by(*order)
        .offset(offset)
        .limit(PAGE + 1)
    )
    if arch:
        query = query.where(job_class.c.arch == arch)
    with hub.db.read() as db:
        sight = load_sight(db, who)
        rows = db.execute(query.where(sight.jobs())).all()
        builds = {line.id: line for line in read_lines(db, {row.build_id for row in rows if row.build_id is not None})}
        lines = _explain(db, state, rows[:PAGE], builds, frank=sight.whole)
        return Queue(
            tuple(lines), _count(db), find_maintenance(db), offset + PAGE if len(rows) > PAGE else None
        )  # fmt: skip


def _suite_of(row: Row[Any], builds: Mapping[int, BuildLine]) -> str:
    found = builds.get(row.build_id)
    return found.suite if found else str(row.spec.get("suite", ""))


def _explain(
    db: Connection, state: State, rows: Sequence[Row[Any]], builds: Mapping[int, BuildLine], *, frank: bool
) -> list[QueueLine]:
    if state is State.QUEUED:
        words = _say_queued(db, rows, frank=frank)
    elif state is State.RUNNING:
        words = _say_running(rows)
    else:
        words = _say_blocked(db, rows, builds)
    holders = {row.agent_id for row in rows if row.agent_id is not None} if state is State.RUNNING else set()
    names = {row.id: row.name for row in db.execute(select(agent.c.id, agent.c.name).where(agent.c.id.in_(holders)))}
    return [
        QueueLine(
            job=row.id, kind=row.kind, arch=row.arch or row.spec.get("arch", ""), owner=row.owner,
            priority=row.priority, since=as_datetime(row.changed_at), suite=_suite_of(row, builds),
            build=builds.get(row.build_id), agent=names.get(row.agent_id),
            fact=words[row.id][0], next=words[row.id][1],
        )
        for row in rows
    ]  # fmt: skip


def _say_queued(db: Connection, rows: Sequence[Row[Any]], *, frank: bool) -> dict[int, tuple[str, str]]:
    builders = load_builders(db, [row.id for row in rows], frank=frank)
    ahead, owners = _load_ahead(db, rows), _count_owners(db, rows)
    found = {}
    for row in rows:
        if row.pool in _OWN_POOLS:
            found[row.id] = (f"{ahead[row.id]} jobs of the pool {row.pool} are ahead of it", "")
            continue
        reason = say_queued(builders, "", row, ahead[row.id], owners[row.class_id] - 1)
        found[row.id] = (reason.fact, reason.next)
    return found


def _load_ahead(db: Connection, rows: Sequence[Row[Any]]) -> dict[int, int]:
    """By job: how many of the same class and owner come before it."""
    classes, most = {row.class_id for row in rows}, max((row.rank for row in rows), default=0)
    number = func.row_number().over(partition_by=(job.c.class_id, job.c.owner), order_by=(job.c.rank, job.c.id))
    query = select(job.c.id, (number - 1).label("ahead")).where(
        job.c.state == State.QUEUED.value, job.c.class_id.in_(classes), job.c.rank <= most
    )
    every = query.subquery()
    mine = select(every).where(every.c.id.in_([row.id for row in rows]))
    return {row.id: row.ahead for row in db.execute(mine)}


def _count_owners(db: Connection, rows: Sequence[Row[Any]]) -> dict[int, int]:
    query = select(job.c.class_id, func.count(job.c.owner.distinct()).label("n")).where(
        job.c.state == State.QUEUED.value, job.c.class_id.in_({row.class_id for row in rows})
    )
    return {row.class_id: row.n for row in db.execute(query.group_by(job.c.class_id))}


def _say_running(rows: Sequence[Row[Any]]) -> dict[int, tuple[str, str]]:
    return {
        row.id: (
            f"attempt {row.attempt}" + (", asked to stop" if row.cancel_asked_at else "")
            + (", asked to make room for one that is more urgent" if row.room_asked_at else ""), "",
        )
        for row in rows
    }  # fmt: skip


def _say_blocked(
    db: Connection, rows: Sequence[Row[Any]], builds: Mapping[int, BuildLine]
) -> dict[int, tuple[str, str]]:
    waits: dict[int, list[str]] = {}
    tokens = select(job_wait).where(job_wait.c.job_id.in_([row.id for row in rows])).order_by(job_wait.c.token)
    for one in db.execute(tokens):
        waits.setdefault(one.job_id, []).append(one.token.partition("@")[2].partition(":")[2])
    found = {}
    for row in rows:
        names = sorted({name for name in waits.get(row.id, []) if name})
        line = builds.get(row.build_id)
        reason = next((one.reason for one in line.arches if one.arch == row.arch), "") if line else ""
        fact = reason or row.reason or (f"waits for {row.unmet} other jobs" if row.unmet else "waits")
        found[row.id] = (fact, f"tried again when {' or '.join(names)} comes" if names else "")
    return found


def _count(db: Connection) -> tuple[Count, ...]:
    query = select(job_class.c.arch, job.c.state, func.count().label("n")).join(job, job.c.class_id == job_class.c.id)
    query = query.where(job.c.ended_at.is_(None)).group_by(job_class.c.arch, job.c.state)
    found: dict[str, dict[State, int]] = {}
    for row in db.execute(query):
        found.setdefault(row.arch, {})[State(row.state)] = row.n
    return tuple(Count(arch, found[arch]) for arch in sorted(found))


@dataclass(frozen=True, kw_only=True)
class Tried:
    """An attempt of a builder, or one under way (`outcome` ""). `build` None: of no build, or of a hidden one."""

    job: int
    kind: str
    attempt: int
    arch: str
    claimed_at: datetime
    ended_at: datetime | None
    outcome: str
    build: BuildLine | None


def list_tried(hub: Hub, who: Principal, name: str, *, limit: int = 50) -> list[Tried]:
    """What the builder *name* did last, newest first; what runs comes first."""
    query = (
        select(job_attempt, job.c.kind, job.c.arch, job.c.build_id)
        .join(job, job.c.id == job_attempt.c.job_id)
        .join(agent, agent.c.id == job_attempt.c.agent_id)
        .where(agent.c.name == name)
        .order_by(job_attempt.c.ended_at.is_not(None), job_attempt.c.claimed_at.desc())
        .limit(limit)
    )
    with hub.db.read() as db:
        rows = db.execute(query).all()
        seen = load_sight(db, who).find_builds(db, {row.build_id for row in rows if row.build_id is not None})
        builds = {line.id: line for line in read_lines(db, seen)}
    return [
        Tried(
            job=row.job_id, kind=row.kind, attempt=row.attempt, arch=row.arch or "",
            claimed_at=as_datetime(row.claimed_at), ended_at=as_datetime(row.ended_at) if row.ended_at else None,
            outcome=row.outcome or "", build=builds.get(row.build_id),
        )
        for row in rows
    ]  # fmt: skip


def list_running(hub: Hub, who: Principal, jobs: Iterable[int] | None = None) -> dict[int, BuildLine]:
    """The builds that run now and that *who* may see, by job: for a list of builders. *jobs*: of these only."""
    query = select(job.c.id, job.c.build_id).where(job.c.state == State.RUNNING.value, job.c.ended_at.is_(None))
    query = query.where(job.c.build_id.is_not(None))
    if jobs is not None:
        query = query.where(job.c.id.in_(list(jobs)))
    with hub.db.read() as db:
        rows = db.execute(query).all()
        seen = load_sight(db, who).find_builds(db, {row.build_id for row in rows})
        builds = {line.id: line for line in read_lines(db, seen)}
    return {row.id: builds[row.build_id] for row in rows if row.build_id in seen}
