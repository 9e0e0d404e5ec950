"""What people and programs look at: builds, requests, suites, targets, events, logs. For API and web UI alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from deb_orchestrator.dispatch.events import Event, last_event, read_events
from deb_orchestrator.services.access import is_private, list_private
from deb_orchestrator.services.attempts import live_log_size
from deb_orchestrator.services.check_view import load_checks
from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.sight import EVERYTHING, Sight, load_sight
from deb_orchestrator.services.states import ArchState, BuildFacts, load_builds
from deb_orchestrator.services.targets import find_target, read_target
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import event, job, log_segment
from deb_orchestrator.store.tables_domain import artifact, blob, build, request, request_build, source
from deb_orchestrator.store.tables_domain import target as target_table
from deb_orchestrator.store.tables_publish import publication, suite, suite_snapshot
from debcore.hub import model
from debcore.hub.checks import BuildCheck

#: Rows of one page at most.
PAGE = 1000


def get_request(hub: Hub, id_: str) -> model.Request:
    """Errors: NotFound."""
    with hub.db.read() as db:
        row = db.execute(select(request).where(request.c.id == id_)).one_or_none()
        if row is None:
            raise NotFound(f"there is no request {id_[:64]}")
        return _request(db, row)


def list_requests(
    hub: Hub, *, state: str | None = None, limit: int = 50, sight: Sight = EVERYTHING
) -> list[model.Request]:
    """Newest first."""
    query = select(request).where(sight.requests()).order_by(request.c.created_at.desc(), request.c.id)
    query = query.limit(min(limit, PAGE))
    with hub.db.read() as db:
        rows = db.execute(query.where(request.c.state == state) if state else query).all()
        return [_request(db, row) for row in rows]


def _request(db: Connection, row: Row[Any]) -> model.Request:
    links = select(request_build.c.build_id).where(request_build.c.request == row.id)
    content = model.PackagesNeeded.model_validate(row.content)
    return model.Request(
        id=row.id, target=row.target, suite=find_target(db, row.target).suite, arches=content.arches,
        state=row.state, event=row.event, failures=tuple(row.failures), packages=content.packages,
        builds=tuple(db.execute(links.order_by(request_build.c.build_id)).scalars()),
        created_at=as_datetime(row.created_at), scratch=content.scratch,
    )  # fmt: skip


def get_build(hub: Hub, id_: int) -> model.Build:
    """Errors: NotFound."""
    with hub.db.read() as db:
        found = read_builds(db, [id_], findings=True)
    if not found:
        raise NotFound(f"there is no build {id_}", hint="list them with: deb-orchestrator list-builds")
    return found[0]


def list_builds(
    hub: Hub, *, source_name: str | None = None, target: str | None = None, suite_name: str | None = None,
    request_id: str | None = None, before: int | None = None, limit: int = 50, sight: Sight = EVERYTHING,
) -> list[model.Build]:  # fmt: skip
    """Newest first; *before* is a build id."""
    query = select(build.c.id).join(source, source.c.id == build.c.source_id).order_by(build.c.id.desc())
    tests: list[ColumnElement[bool]] = [sight.builds()]
    if source_name is not None:
        tests.append(source.c.name == source_name)
    if target is not None:
        tests.append(build.c.target == target)
    if suite_name is not None:
        tests.append(build.c.suite == suite_name)
    if request_id is not None:
        tests.append(build.c.id.in_(select(request_build.c.build_id).where(request_build.c.request == request_id)))
    if before is not None:
        tests.append(build.c.id < before)
    with hub.db.read() as db:
        return read_builds(db, db.execute(query.where(*tests).limit(min(limit, PAGE))).scalars())


def read_builds(db: Connection, ids: Iterable[int], *, findings: bool = False) -> list[model.Build]:
    """The builds *ids* in that order; unknown ones are left out. *findings*: of their checks, too."""
    builds = load_builds(db, ids)
    checks = load_checks(db, builds, findings=findings)
    return [_build(db, facts, checks.get(id_, ())) for id_, facts in builds.items()]


def _build(db: Connection, facts: BuildFacts, checks: Sequence[BuildCheck]) -> model.Build:
    row = facts.row
    return model.Build(
        id=row.id, source=row.name, version=row.version, target=row.target, suite=row.suite, request=row.request,
        state=facts.state, created_at=as_datetime(row.created_at), dsc_sha256=row.dsc_sha256,
        arches=tuple(_arch(db, arch) for arch in facts.arches), waits_for=facts.open_needs,
        scratch=row.scratch, binnmu=row.binnmu, checks=tuple(checks),
    )  # fmt: skip


def _arch(db: Connection, arch: ArchState) -> model.BuildArch:
    row = arch.row
    size, complete = log_size(db, row)
    files = db.execute(select(artifact).where(artifact.c.build_arch_id == row.id).order_by(artifact.c.name))
    return model.BuildArch(
        arch=row.arch, state=arch.state, reason=arch.reason, job=row.job_id, attempt=row.job_attempt or 0,
        agent=row.agent_name, started_at=as_datetime(row.claimed_at) if row.claimed_at else None,
        ended_at=as_datetime(row.job_ended_at) if row.job_ended_at else None, log_size=size, log_complete=complete,
        lock_sha256=row.lock_sha256, trace=row.job_trace,
        reproducible=(row.result or {}).get("reproducible"), result=row.result,
        artifacts=tuple(
            model.Artifact(
                name=file.name, kind=file.kind, sha256=file.sha256, size=file.size, package=file.package,
                version=file.version, arch=file.arch,
            )
            for file in files
        ),
    )  # fmt: skip


def log_size(db: Connection, row: Row[Any]) -> tuple[int, bool]:
    """Bytes of the log that the hub has, and whether that is all. *row* as states.py makes it."""
    if row.log_sha256 is not None:
        size = db.execute(select(blob.c.size).where(blob.c.sha256 == row.log_sha256)).scalar_one()
        return int(size), True
    if row.job_id is None:
        return 0, False
    return live_log_size(db, row.job_id, row.job_attempt), row.job_ended_at is not None


def find_log_size(hub: Hub, build_id: int, arch: str) -> tuple[int, bool]:
    """Bytes of the log that the hub has, and whether that is all. Errors: NotFound."""
    with hub.db.read() as db:
        return log_size(db, _find_arch(db, build_id, arch))


def find_log_blob(hub: Hub, build_id: int, arch: str) -> str | None:
    """SHA-256 of the whole log, or None while there is but a live one. Errors: NotFound."""
    with hub.db.read() as db:
        found: str | None = _find_arch(db, build_id, arch).log_sha256
    return found


def _find_arch(db: Connection, build_id: int, arch: str) -> Row[Any]:
    facts = load_builds(db, [build_id]).get(build_id)
    found = [one.row for one in facts.arches if one.row.arch == arch] if facts else []
    if not found:
        raise NotFound(f"there is no build {build_id} for {arch[:32]}")
    return found[0]


def read_log(hub: Hub, build_id: int, arch: str, offset: int, limit: int) -> tuple[bytes, bool]:
    """At most *limit* bytes from *offset*, and whether the log is complete. Errors: NotFound."""
    with hub.db.read() as db:
        row = _find_arch(db, build_id, arch)
        complete = log_size(db, row)[1]
        if row.log_sha256 is None:
            return _read_live(db, row, offset, limit), complete
    return read_blob(hub, row.log_sha256, offset, limit), complete


def read_blob(hub: Hub, sha256: str, offset: int, limit: int) -> bytes:
    """At most *limit* bytes from *offset*. Errors: NotFound if it was collected."""
    found = hub.blobs.find(sha256)
    if found is None:
        raise NotFound("this file was collected", hint="deb-orchestrator retention shows how long what is kept")
    end = min(offset + limit, found.size)
    return b"".join(hub.blobs.read_part(sha256, offset, end)) if offset < end else b""


def _read_live(db: Connection, row: Row[Any], offset: int, limit: int) -> bytes:
    if row.job_id is None:
        return b""
    seg = log_segment.c
    query = (
        select(log_segment)
        .where(seg.job_id == row.job_id, seg.attempt == row.job_attempt, seg.start + seg.size > offset)
        .where(seg.start < offset + limit)
        .order_by(seg.start)
    )
    text, first = b"", None
    for piece in db.execute(query):
        first = piece.start if first is None else first
        text += piece.data
    return text[offset - first :][:limit] if first is not None else b""


def get_suite(hub: Hub, name: str, *, base_url: str) -> model.Suite:
    """*base_url* is the hub's as the caller reaches it. Errors: NotFound."""
    found = [one for one in list_suites(hub, base_url=base_url) if one.name == name]
    if not found:
        raise NotFound(f"there is no suite {name[:64]}", hint="list them with: deb-orchestrator suite list")
    return found[0]


def list_suites(hub: Hub, *, base_url: str) -> list[model.Suite]:
    live = and_(publication.c.suite == suite.c.name, publication.c.state == "live")
    query = select(suite, publication.c.generation, publication.c.event).outerjoin(publication, live)
    query = query.where(suite.c.name.not_in(select(suite_snapshot.c.suite)))
    with hub.db.read() as db:
        private = list_private(db)
        return [
            model.Suite(
                name=row.name, apt_uri=f"{base_url.rstrip('/')}/apt", key=row.public_key or "", event=row.event or 0,
                generation=row.generation or 0, components=tuple(row.components), arches=tuple(row.arches),
                private=is_private(row.name, private),
            )
            for row in db.execute(query.order_by(suite.c.name))
        ]  # fmt: skip


def list_targets(hub: Hub, *, sight: Sight = EVERYTHING) -> list[model.Target]:
    query = select(target_table).where(sight.targets()).order_by(target_table.c.name)
    with hub.db.read() as db:
        return [read_target(row) for row in db.execute(query)]


def get_target(hub: Hub, name: str) -> model.Target:
    """Errors: NotFound."""
    with hub.db.read() as db:
        return find_target(db, name)


def list_events(
    hub: Hub, after: int, limit: int, *, request_id: str | None = None, who: Principal | None = None
) -> list[model.Event]:
    """Oldest first, and only what *who* sees. What came of an attempt that is not its job's last is superseded."""
    with hub.db.read() as db:
        sight = EVERYTHING if who is None else load_sight(db, who)
        events = read_events(db, after, min(limit, PAGE), request=request_id, where=sight.events())
        attempts = _attempts(db, events)
    return [_event(one, attempts) for one in events]


def list_build_events(hub: Hub, build_id: int) -> list[model.Event]:
    """All events of one build."""
    return _read(hub, select(event).where(event.c.build == build_id).order_by(event.c.n).limit(PAGE))


def read_events_at(hub: Hub, numbers: Sequence[int]) -> list[model.Event]:
    """The events *numbers*, newest first."""
    return _read(hub, select(event).where(event.c.n.in_(numbers)).order_by(event.c.n.desc()))


def _read(hub: Hub, query: Select[Any]) -> list[model.Event]:
    with hub.db.read() as db:
        events = [
            Event(
                n=row.n, at=row.at, type=row.type, data=row.data, request=row.request, build=row.build, arch=row.arch,
                attempt=row.attempt, job=row.job_id,
            )
            for row in db.execute(query)
        ]  # fmt: skip
        attempts = _attempts(db, events)
    return [_event(one, attempts) for one in events]


def find_last_event(hub: Hub) -> int:
    """The number of the last event, 0 if there is none."""
    with hub.db.read() as db:
        return last_event(db)


def _attempts(db: Connection, events: Iterable[Event]) -> dict[int, int]:
    jobs = {one.job for one in events if one.job is not None and one.attempt is not None}
    return {row.id: row.attempt for row in db.execute(select(job.c.id, job.c.attempt).where(job.c.id.in_(jobs)))}


def _event(one: Event, attempts: dict[int, int]) -> model.Event:
    old = one.job is not None and one.attempt is not None and one.attempt < attempts.get(one.job, 0)
    return model.Event(
        n=one.n, at=as_datetime(one.at), type=one.type, request=one.request, build=one.build, arch=one.arch,
        attempt=one.attempt, job=one.job, superseded=old, data=one.data,
    )  # fmt: skip


def count_jobs(hub: Hub) -> dict[str, int]:
    """How many jobs are in each state, ended ones left out."""
    query = select(job.c.state, func.count()).where(job.c.ended_at.is_(None)).group_by(job.c.state)
    with hub.db.read() as db:
        return {row[0]: row[1] for row in db.execute(query)}
