"""Which builds a solver decides before a builder is taken, and asking it. services/solving.py is its answer.

A suite that knows the outside archive below it is decided on: its builds start blocked, waiting for the token
`solver:SUITE:ARCH`, and a job of the pool `solve` looks at all that wait for that token in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.dispatch.tokens import wait_on
from deb_orchestrator.domain.jobs import OPEN, NewJob, Outcome, Requirement, State
from deb_orchestrator.services.hub import Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.suite_view import find_heirs, find_order, load_parents
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import job, job_wait
from deb_orchestrator.store.tables_domain import build, target
from deb_orchestrator.store.tables_publish import suite
from deb_orchestrator.store.tables_suite import suite_archive
from debcore.hub.suites import Archive
from debcore.job import AptSource

#: Jobs of this pool are claimed by the hubs themselves, in a thread that does nothing else.
SOLVE_POOL = "solve"
#: Seconds after which the archive is looked at again for builds that wait for it.
LOOK_S = 900
#: Seconds between tries when a job for the solver failed for good.
AGAIN_S = 30


def set_archive(hub: Hub, who: Principal, name: str, archive: Archive | None) -> Archive:
    """The archive below the suite is this one from now on; None: it is not known. Errors: NotFound."""
    sources = [one.model_dump(mode="json") for one in archive.sources] if archive else []
    with hub.db.write() as db:
        if db.execute(sa.select(suite.c.name).where(suite.c.name == name)).first() is None:
            raise NotFound(f"there is no suite {name[:64]}", hint="list them with: deb-orchestrator suite list")
        if _own_archive(db, name) == sources:
            return Archive(sources=archive.sources if archive else ())
        db.execute(sa.delete(suite_archive).where(suite_archive.c.suite == name))
        if sources:
            db.execute(sa.insert(suite_archive).values(suite=name, sources=sources))
        log_audit(db, who, "suite.archive", name, {"sources": sources})
        _ask_for_all(db, [name, *find_heirs(load_parents(db), name)])
        uris = sorted({uri for one in sources for uri in one["uris"]})
        append_events(db, [NewEvent(type="suite.archive", data={"suite": name, "uris": uris}, by=who.name)])
    return Archive(sources=archive.sources if archive else ())


def get_archive(hub: Hub, name: str) -> Archive:
    """What builds that see the suite find outside, inherited included; the nearest first."""
    with hub.db.read() as db:
        return Archive(sources=find_archive(db, name))


def find_archive(db: Connection, name: str) -> tuple[AptSource, ...]:
    """The sources of the suite's own archive and of those that it inherits from, each once; () if none is known."""
    found: dict[str, AptSource] = {}
    for one in find_order(load_parents(db), name):
        for document in _own_archive(db, one):
            source = AptSource.model_validate(document)
            found.setdefault(source.model_dump_json(), source)
    return tuple(found.values())


def _own_archive(db: Connection, name: str) -> list[dict[str, Any]]:
    query = sa.select(suite_archive.c.sources).where(suite_archive.c.suite == name)
    return list(db.execute(query).scalar_one_or_none() or [])


def solver_token(suite_name: str, arch: str) -> str:
    """What a build waits for that the solver has yet to look at."""
    return f"solver:{suite_name}:{arch}"


def ask_solver(db: Connection, suite_name: str, arch: str) -> None:
    """A job for the solver, unless one is queued that has not begun."""
    spec = {"suite": suite_name, "arch": arch}
    queued = sa.select(job.c.spec).where(job.c.kind == "resolve", job.c.state == State.QUEUED.value, job.c.arch == arch)
    if spec not in list(db.execute(queued).scalars()):
        enqueue(db, NewJob(kind="resolve", spec=spec, requires=Requirement(pool=SOLVE_POOL), priority=55, arch=arch))


def ask_again(db: Connection, suite_name: str, rows: Sequence[Row[Any]]) -> None:
    """What waited, locked, for a package that came is put to the solver; no builder is taken before it agrees."""
    for row in rows:
        wait_on(db, row, [solver_token(suite_name, row.arch)], outcome=None, reason=None)
    for arch in sorted({row.arch for row in rows}):
        ask_solver(db, suite_name, arch)


def is_for_solver(row: Row[Any]) -> bool:
    """True for jobs that the solver understands: builds that are not cross builds."""
    return row.kind == "build" and row.arch is not None and row.spec["job"]["target"].get("build_arch") is None


def ask_of_archives(db: Connection) -> None:
    """Have those archives looked at that some build may wait for, each every `LOOK_S` seconds."""
    old = now(db) - LOOK_S * 1000
    c = suite_archive.c
    query = sa.select(c.suite).where(c.looked_at.is_(None) | (c.looked_at < old))
    names = list(db.execute(query.order_by(c.suite).with_for_update()).scalars())
    if not names:
        return
    parents = load_parents(db)
    _ask_for_all(db, sorted({heir for name in names for heir in (name, *find_heirs(parents, name))}))
    db.execute(sa.update(suite_archive).where(c.suite.in_(names)).values(looked_at=now(db)))


def _ask_for_all(db: Connection, suites: Sequence[str]) -> None:
    """One pass for each architecture of which a build that sees one of *suites* could not have its dependencies."""
    sees = sa.func.coalesce(target.c.build_suite, build.c.suite)
    query = sa.select(sees, job.c.arch).join(build, build.c.id == job.c.build_id)
    query = query.join(target, target.c.name == build.c.target).where(sees.in_(suites), job.c.kind == "build")
    query = query.where(job.c.state == State.BLOCKED.value, job.c.outcome == Outcome.DEPS.value)
    for name, arch in db.execute(query.distinct()).all():
        ask_solver(db, name, arch)


def ask_what_was_left(db: Connection) -> None:
    """Ask anew for builds that wait for the solver although no job of its pool is open: one of them broke."""
    tokens = sa.select(job_wait.c.token).where(job_wait.c.token.startswith("solver:")).distinct()
    left = list(db.execute(tokens).scalars())
    if not left:
        return
    recent = now(db) - AGAIN_S * 1000
    busy = sa.select(job.c.id).where(job.c.kind == "resolve")
    busy = busy.where(job.c.state.in_([state.value for state in OPEN]) | (job.c.ended_at > recent)).limit(1)
    if db.execute(busy).first() is None:
        for token in left:
            _, name, arch = token.split(":")
            ask_solver(db, name, arch)
