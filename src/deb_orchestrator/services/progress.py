"""What follows from what has happened: builds whose needs are installed start, requests whose fate is known end.

Only `work.Tender` lets requests fail: it first wakes what waits for the publication that may just have come.
Each function works in the caller's write transaction and gives the events to tell; `tell` comes last in it.
Calling them again changes nothing, so a hub that died between two steps is made up for by the next call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import NewJob, Outcome, State
from deb_orchestrator.services.asking import ask_solver, find_archive, solver_token
from deb_orchestrator.services.sources import load_source_of
from deb_orchestrator.services.states import BuildFacts, load_builds
from deb_orchestrator.services.targets import find_target, make_requirement
from deb_orchestrator.services.waiting import wake
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_domain import build, build_arch, request, request_build
from deb_orchestrator.store.tables_publish import publication
from debcore.hub.model import BuildSpec, BuildState, PackageFailure
from debcore.job import BinNmu, Input, Job
from debcore.job import Target as JobTarget

#: Hinted at when something ended from which more may follow.
PROGRESS = "progress"

#: Requests with more builds than this are mass rebuilds.
BULK = 10
#: Of their jobs: below 0, they give way to others (services/room.py).
BULK_PRIORITY = -10

#: Builds under way that are looked at before all of a request are.
SAMPLE = 20

#: Nothing will move these by itself: the request has its answer.
_STUCK = frozenset({BuildState.FAILED, BuildState.CANCELLED, BuildState.BUILD_ATTEMPTED, BuildState.BD_UNINSTALLABLE})


def advance(db: Connection, suite: str, *, published: bool) -> list[NewEvent]:
    """Start what waited for what *suite* now has, end what it answers. *published*: since this hub last looked."""
    if published:
        wake(db, suite)
    query = (
        select(build_arch.c.build_id)
        .join(build, build.c.id == build_arch.c.build_id)
        .where(build.c.suite == suite, build.c.cancelled.is_(False), build_arch.c.job_id.is_(None))
        .distinct()
    )
    events = start_builds(db, list(db.execute(query).scalars()))
    return events + settle_requests(db, find_open_requests(db, suite=suite))


def start_builds(db: Connection, ids: Sequence[int]) -> list[NewEvent]:
    """Enqueue the jobs of those builds whose needs are all installed."""
    if ids:
        db.execute(select(build.c.id).where(build.c.id.in_(ids)).order_by(build.c.id).with_for_update())
    events: list[NewEvent] = []
    for facts in load_builds(db, sorted(ids)).values():
        if not facts.open_needs and not facts.row.cancelled:
            events += [e for arch in facts.arches if arch.row.job_id is None for e in _start(db, facts, arch.row)]
    return events


def _start(db: Connection, facts: BuildFacts, arch: Row[tuple[object, ...]]) -> list[NewEvent]:
    row, known = facts.row, load_source_of(db, facts.row.source_id)
    target = find_target(db, row.target)
    inputs = tuple(Input(path=f"source/{n}", sha256=s, size=z) for n, (s, z) in sorted(known.files.items()))
    job = Job(
        job="0",  # the agent writes the number and attempt that it was given
        request=row.request, build=str(row.id), source=f"source/{known.dsc_name}", inputs=inputs,
        target=JobTarget(
            preset=target.preset, arch=arch.arch, profiles=target.profiles, options=target.options, build=arch.mode,
            build_arch=target.cross.get(arch.arch),
        ),
        verify=target.verify,
        binnmu=None if row.entry is None else BinNmu.model_validate(row.entry),
    )  # fmt: skip
    is_solved = job.target.build_arch is None and bool(find_archive(db, row.build_suite))
    new = NewJob(
        kind="build", spec=BuildSpec(job=job, suite=row.build_suite).model_dump(mode="json"),
        requires=make_requirement(target, target.cross.get(arch.arch, arch.arch)),
        **_find_owner(db, row.request),
        key=f"build:{row.id}:{arch.arch}", max_attempts=3,
        request_id=row.request, build_id=row.id, arch=arch.arch,
        waits_for=(solver_token(row.build_suite, arch.arch),) if is_solved else (),
    )  # fmt: skip
    job_id = enqueue(db, new)
    told = {"job_id": job_id, "requested_attempt": 0 if is_solved else 1}
    db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(**told))
    if is_solved:  # message 2 comes when it has agreed
        ask_solver(db, row.build_suite, arch.arch)
        return []
    return [requested(facts, arch, job_id, attempt=1)]


def _find_owner(db: Connection, request_id: str) -> dict[str, Any]:
    """Who takes turns for it, and its trace. A large one is an owner of its own that gives way to others: `BULK`."""
    row = db.execute(select(request.c.principal, request.c.trace).where(request.c.id == request_id)).one()
    size = select(func.count()).where(request_build.c.request == request_id)
    if db.execute(size).scalar_one() <= BULK:
        return {"owner": row.principal, "trace": row.trace}
    return {"owner": f"{row.principal}/{request_id[:12]}", "priority": BULK_PRIORITY, "trace": row.trace}


def requested(facts: BuildFacts, arch: Row[tuple[object, ...]], job_id: int, *, attempt: int) -> NewEvent:
    """Message 2."""
    row = facts.row
    data = {
        "source": row.name, "version": row.version, "target": row.target, "suite": row.suite,
        "dsc_sha256": row.dsc_sha256, "mode": arch.mode,
    } | ({} if row.binnmu is None else {"binnmu": row.binnmu})  # fmt: skip
    return NewEvent(
        type="build.requested",
        data=data,
        request=row.request,
        build=row.id,
        arch=arch.arch,
        attempt=attempt,
        job=job_id,
    )


def find_open_requests(db: Connection, *, suite: str | None = None, builds: Iterable[int] | None = None) -> list[str]:
    """Open requests that have a build in *suite*, or one of *builds*."""
    query = select(request.c.id).where(request.c.state == "open").order_by(request.c.id)
    if suite is not None or builds is not None:  # correlated: most have such a build first, of tens of thousands
        linked = exists().where(request_build.c.request == request.c.id, build.c.id == request_build.c.build_id)
        if suite is not None:
            linked = linked.where(build.c.suite == suite)
        if builds is not None:
            linked = linked.where(build.c.id.in_(list(builds)))
        query = query.where(linked)
    return list(db.execute(query).scalars())


def settle_requests(db: Connection, ids: Sequence[str]) -> list[NewEvent]:
    """End those of the open requests *ids* whose builds are all installed, or of which nothing moves any more."""
    events: list[NewEvent] = []
    for id_ in sorted(ids):
        row = db.execute(select(request).where(request.c.id == id_).with_for_update()).one()
        if row.state == "open":
            events += _settle(db, row)
    return events


def _settle(db: Connection, row: Row[tuple[object, ...]]) -> list[NewEvent]:
    some = load_builds(db, _find_under_way(db, row.id))
    if any(_moves(facts, _with_needs(db, some)) for facts in some.values()):
        return []  # the usual answer, without reading tens of thousands of builds
    links = db.execute(select(request_build).where(request_build.c.request == row.id)).all()
    reused = {link.build_id for link in links if link.reused}
    builds = load_builds(db, sorted(link.build_id for link in links))
    everything = _with_needs(db, builds)
    if any(_moves(facts, everything) for facts in builds.values()):
        return []
    failures = [PackageFailure.model_validate(failure) for failure in row.failures]
    failures += [failure for facts in builds.values() for failure in _failures(facts, everything)]
    if failures:
        return [fail_request(db, row, failures)]
    suite = find_target(db, row.target).suite
    events = [
        NewEvent(type="build.reused", request=row.id, build=id_, data={
            "source": facts.row.name, "version": facts.row.version, "suite": suite
        })
        for id_, facts in builds.items() if id_ in reused
    ]  # fmt: skip
    return [*events, NewEvent(type="packages.ready", request=row.id, data=_ready_data(db, suite, builds))]


def _find_under_way(db: Connection, request_id: str) -> list[int]:
    """A few builds of the request whose jobs are queued or running."""
    query = (
        select(request_build.c.build_id)
        .join(build_arch, build_arch.c.build_id == request_build.c.build_id)
        .join(job, job.c.id == build_arch.c.job_id)
        .where(request_build.c.request == request_id, job.c.state.in_((State.QUEUED, State.RUNNING)))
        .limit(SAMPLE)
    )
    return sorted(set(db.execute(query).scalars()))


def fail_request(
    db: Connection, row: Row[tuple[object, ...]], failures: Sequence[PackageFailure], *, state: str = "failed"
) -> NewEvent:
    """End a request without its packages; *state* is failed or cancelled."""
    listed = [failure.model_dump(mode="json") for failure in failures]
    db.execute(update(request).where(request.c.id == row.id).values(state=state, failures=listed, ended_at=now(db)))
    return NewEvent(type="packages.failed", request=row.id, data={"state": state, "failures": listed})


def tell(db: Connection, events: Sequence[NewEvent]) -> int:
    """Append *events*, the last thing in the transaction; requests that became ready keep the number of theirs."""
    last = append_events(db, events)
    first = last - len(events) + 1
    for n, event in enumerate(events, start=first):
        if event.type == "packages.ready":
            values = {"state": "ready", "event": n, "failures": [], "ended_at": now(db)}
            db.execute(update(request).where(request.c.id == event.request).values(**values))
    return last


def _with_needs(db: Connection, builds: dict[int, BuildFacts]) -> dict[int, BuildFacts]:
    """*builds* and all that they wait for, directly or not, whichever request asked for it."""
    known = dict(builds)
    while missing := {id_ for facts in known.values() for id_ in facts.open_needs} - known.keys():
        known |= load_builds(db, sorted(missing))
    return known


def _moves(facts: BuildFacts, builds: dict[int, BuildFacts]) -> bool:
    """True while the build may still get on without anybody's help."""
    still = facts.waits or facts.state in (*_STUCK, BuildState.INSTALLED, BuildState.KEPT)
    return not still and not _is_blocked(facts, builds)


def _is_blocked(facts: BuildFacts, builds: dict[int, BuildFacts]) -> bool:
    needs = [builds[id_] for id_ in facts.open_needs]
    return any(need.waits or need.state in _STUCK or _is_blocked(need, builds) for need in needs)


def _failures(facts: BuildFacts, builds: dict[int, BuildFacts]) -> list[PackageFailure]:
    row = facts.row
    common = {"source": row.name, "version": row.version, "build": row.id}
    if _is_blocked(facts, builds):
        names = ", ".join(builds[id_].row.name for id_ in facts.open_needs)
        return [PackageFailure(**common, status="blocked", reason=f"it needs {names}, which could not be built")]
    return [
        PackageFailure(**common, arch=arch.row.arch, status=_status(arch.row, arch.state), reason=arch.reason)
        for arch in facts.arches
        if arch.state in _STUCK or arch.waits
    ]


def _status(arch: Row[tuple[object, ...]], state: BuildState) -> str:
    if arch.refused is not None or arch.imported:
        return "refused"
    if state == BuildState.CANCELLED:
        return "cancelled"
    if arch.job_outcome == Outcome.DEPS:
        return "deps"
    if arch.result is not None:
        return str(arch.result["status"])
    return "host"


def _ready_data(db: Connection, suite: str, builds: dict[int, BuildFacts]) -> dict[str, object]:
    query = select(publication.c.generation, publication.c.event)
    live = db.execute(query.where(publication.c.suite == suite, publication.c.state == "live")).one_or_none()
    packages = [{"source": facts.row.name, "version": facts.row.version, "build": id_} for id_, facts in builds.items()]
    generation, event = (live.generation, live.event) if live is not None else (0, 0)  # before a scratch build's suite
    return {"suite": suite, "generation": generation, "suite_event": event, "packages": packages}


def link_build(db: Connection, request_id: str, build_id: int, *, reused: bool) -> None:
    """*build_id* is one of the answers to the request."""
    db.execute(insert(request_build).values(request=request_id, build_id=build_id, reused=reused))
