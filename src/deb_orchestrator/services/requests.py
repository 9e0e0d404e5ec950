"""Message 1: a set of source packages that a suite should have. Asking twice is one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from deb_orchestrator.dispatch.events import NewEvent
from deb_orchestrator.dispatch.statements import cancel as cancel_job
from deb_orchestrator.domain.source import Source, find_order
from deb_orchestrator.services.checks import cancel_checks
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import is_collected, rely_on
from deb_orchestrator.services.progress import (
    fail_request,
    find_open_requests,
    link_build,
    settle_requests,
    start_builds,
    tell,
)
from deb_orchestrator.services.sources import KnownSource, learn_sources, load_source_of
from deb_orchestrator.services.states import BuildFacts, load_builds
from deb_orchestrator.services.suite_view import find_block
from deb_orchestrator.services.targets import find_target
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_domain import build, build_arch, build_need, request, request_build, source
from deb_orchestrator.store.tables_publish import source_package, suite_source
from debcore.errors import Failure
from debcore.hub import model
from debcore.job import BinNmu
from debcore.relations import is_for
from debcore.trace import TRACE
from debcore.version import version_key

_ENDED_BADLY = (model.BuildState.FAILED, model.BuildState.BUILD_ATTEMPTED, model.BuildState.CANCELLED)


def _is_bad(facts: BuildFacts) -> bool:
    """It ended badly, or waits for what no build of ours may ever bring."""
    return facts.waits or facts.state in (*_ENDED_BADLY, model.BuildState.BD_UNINSTALLABLE)


def need_packages(hub: Hub, who: Principal, needed: model.PackagesNeeded, *, retry: bool = False) -> str:
    """Take message 1 and return the request's id; *retry* opens one again that failed or was cancelled.

    Errors: NotFound (target), Failure if the hub lacks files, a .dsc is not what was said, or the order is circular.
    """
    with hub.db.read() as db:
        target = find_target(db, needed.target)
        state = db.execute(select(request.c.state).where(request.c.id == needed.id)).scalar_one_or_none()
        held = all(_is_held(db, target.suite, package) for package in needed.packages)
    _check(needed, target)
    if state == "open" or (state == "ready" and held) or (state is not None and not retry):
        return needed.id
    known = learn_sources(hub, needed.packages)
    order = find_order([one.source for one in known])
    if needed.scratch and any(order.values()):
        raise Failure(
            "scratch builds are in no suite, so that one cannot need another",
            hint="make a side suite for them: deb-orchestrator suite make NAME --parent SUITE",
        )
    with hub.db.write() as db:
        if _open(db, who, needed, was=state):
            events = [NewEvent(type="packages.needed", request=needed.id, data=_data(needed, target), by=who.name)]
            events += _answer(db, needed, target, known, order, retry=retry)
            log_audit(db, who, "request.open", needed.id, {"target": needed.target, "packages": len(known)})
            tell(db, events)
    return needed.id


def _check(needed: model.PackagesNeeded, target: model.Target) -> None:
    unknown = sorted(set(needed.arches) - set(target.arches))
    if unknown:
        raise Failure(
            f"target {target.name} does not build for {', '.join(unknown)}", hint=f"it has {', '.join(target.arches)}"
        )
    names = [package.source for package in needed.packages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Failure(f"asked for twice: {', '.join(twice)}", hint="one version of a source in a request")


def _is_held(db: Connection, suite: str, package: model.NeededPackage) -> bool:
    """True if the suite has this source now: something newer may have taken its place."""
    query = (
        select(source_package.c.id)
        .join(suite_source, suite_source.c.package_id == source_package.c.id)
        .where(suite_source.c.suite == suite, suite_source.c.revoked_event.is_(None))
        .where(source_package.c.sha256 == package.dsc_sha256)
    )
    return db.execute(query).first() is not None


def _open(db: Connection, who: Principal, needed: model.PackagesNeeded, *, was: str | None) -> bool:
    """False if another hub was quicker with the same request. *was*: the state that was seen before."""
    row = db.execute(select(request).where(request.c.id == needed.id).with_for_update()).one_or_none()
    if row is not None and row.state != was:
        return False
    values: dict[str, Any] = {"state": "open", "event": None, "failures": [], "principal": who.name, "ended_at": None}
    values["trace"] = TRACE.get() or None
    if row is None:
        content = needed.model_dump(mode="json")
        db.execute(
            insert(request).values(id=needed.id, target=needed.target, content=content, created_at=now(db), **values)
        )
    else:
        db.execute(update(request).where(request.c.id == needed.id).values(**values))
        db.execute(delete(request_build).where(request_build.c.request == needed.id))
    return True


def _data(needed: model.PackagesNeeded, target: model.Target) -> dict[str, object]:
    packages = [p.model_dump(mode="json", include={"source", "version", "dsc_sha256"}) for p in needed.packages]
    data = {"target": target.name, "suite": target.suite, "arches": list(needed.arches), "packages": packages}
    return data | ({"scratch": True} if needed.scratch else {})


def _answer(
    db: Connection, needed: model.PackagesNeeded, target: model.Target, known: Sequence[KnownSource],
    order: dict[int, tuple[int, ...]], *, retry: bool,
) -> list[NewEvent]:  # fmt: skip
    failures: list[model.PackageFailure] = []
    builds: dict[int, int] = {}
    made: list[int] = []
    for i, (one, package) in enumerate(zip(known, needed.packages, strict=True)):
        modes = find_modes(one.source, needed.arches)
        if package.binnmu is not None:  # packages for all architectures are the same everywhere
            modes = {arch: "any" for arch, mode in modes.items() if mode != "all"}
        problem = ("" if needed.scratch else _find_problem(db, target, one.source, one.dsc_sha256)) or (
            "" if modes else f"it builds on none of {', '.join(needed.arches)}"
        )
        if problem:
            failure = {"source": one.source.name, "version": one.source.version, "status": "refused"}
            failures.append(model.PackageFailure(**failure, reason=problem))
            continue
        found = _find_build(db, target, one, package, set(modes), retry=retry, scratch=needed.scratch)
        builds[i] = found or make_build(
            db,
            needed.id,
            target,
            one.id,
            modes,
            scratch=needed.scratch,
            binnmu=package.binnmu,
        )
        made += [] if found else [builds[i]]
        link_build(db, needed.id, builds[i], reused=found is not None)
    for i, id_ in builds.items():
        if id_ in made:
            needs = sorted({builds[j] for j in order[i] if j in builds})
            db.execute(insert(build_need), [{"build_id": id_, "needs_id": n} for n in needs]) if needs else None
    listed = [failure.model_dump(mode="json") for failure in failures]
    db.execute(update(request).where(request.c.id == needed.id).values(failures=listed))
    return start_builds(db, sorted(builds.values())) + settle_requests(db, [needed.id])


def find_modes(one: Source, arches: Sequence[str]) -> dict[str, str]:
    """How to build on each architecture (debcore.job.Target.build): the first one makes what is for all, too."""
    modes: dict[str, str] = {}
    for arch in dict.fromkeys(arches):
        fits = any(is_for(binary.arches, arch) for binary in one.binaries)
        if one.has_all and not modes:
            modes[arch] = "binary" if fits else "all"
        elif fits:
            modes[arch] = "any"
    return modes


def find_refusal(db: Connection, target: model.Target, one: Source, dsc_sha256: str) -> str:
    """Why a request for this source alone would fail at once, or ""."""
    if problem := _find_problem(db, target, one, dsc_sha256):
        return problem
    return "" if find_modes(one, target.arches) else f"it builds on none of {', '.join(target.arches)}"


def _find_problem(db: Connection, target: model.Target, one: Source, dsc_sha256: str) -> str:
    """Why this source can never get into the suite, or ""."""
    name, version = one.name, one.version
    if block := find_block(db, target.suite, name):
        return block
    query = select(source_package.c.sha256).where(source_package.c.name == name, source_package.c.version == version)
    held = db.execute(query).scalar_one_or_none()
    if held is not None and held != dsc_sha256:
        return f"{name} {version} is there already with other content: give it a higher version"
    newer = (
        select(source_package.c.version)
        .join(suite_source, suite_source.c.package_id == source_package.c.id)
        .where(suite_source.c.suite == target.suite, suite_source.c.revoked_event.is_(None))
        .where(source_package.c.name == name, source_package.c.version_key > version_key(version))
    )
    if (other := db.execute(newer).scalar()) is not None:
        return f"{target.suite} holds {name} {other}, which is newer than {version}: give it a higher version"
    others = (
        select(build.c.id)
        .join(source, source.c.id == build.c.source_id)
        .where(source.c.name == name, source.c.version == version, build.c.suite == target.suite)
        .where(source.c.dsc_sha256 != dsc_sha256)
        .where(build.c.scratch.is_(False))
    )
    for id_, facts in load_builds(db, db.execute(others).scalars()).items():
        if not _is_bad(facts):
            return f"build {id_} makes {name} {version} from other content: give it a higher version"
    return ""


def _find_build(
    db: Connection,
    target: model.Target,
    one: KnownSource,
    package: model.NeededPackage,
    arches: set[str],
    *,
    retry: bool,
    scratch: bool,
) -> int | None:
    """A build that has made, or may still make, what is wanted; the newest first."""
    query = select(build.c.id).where(build.c.source_id == one.id, build.c.target == target.name)
    number = package.binnmu.number if package.binnmu is not None else None
    query = query.where(build.c.scratch.is_(scratch), build.c.binnmu.is_not_distinct_from(number))
    for id_, facts in load_builds(db, db.execute(query.order_by(build.c.id.desc())).scalars()).items():
        bad = _is_bad(facts) if retry else facts.state in _ENDED_BADLY
        bad = bad or (scratch and is_collected(db, id_))
        if not bad and arches <= {arch.row.arch for arch in facts.arches}:
            return id_
    return None


def make_build(
    db: Connection, request_id: str, target: model.Target, source_id: int, modes: dict[str, str], *,
    scratch: bool = False, binnmu: BinNmu | None = None,
) -> int:  # fmt: skip
    """A new build. Builds that wait for a failed one of the same source wait for this one from now on."""
    values: dict[str, Any] = {
        "source_id": source_id,
        "target": target.name,
        "suite": target.suite,
        "request": request_id,
    }
    values |= {"scratch": scratch, "binnmu": binnmu.number if binnmu else None}
    values["entry"] = binnmu.model_dump(mode="json") if binnmu else None
    id_ = int(db.execute(insert(build).values(**values, created_at=now(db)).returning(build.c.id)).scalar_one())
    rows = [{"build_id": id_, "arch": arch, "mode": mode} for arch, mode in modes.items()]
    db.execute(insert(build_arch), rows)
    query = select(build.c.id).where(build.c.source_id == source_id, build.c.target == target.name, build.c.id != id_)
    query = query.where(build.c.scratch.is_(False))  # nothing ever waits for one
    query = query.where(build.c.binnmu.is_not_distinct_from(values["binnmu"]))
    old = [i for i, f in load_builds(db, db.execute(query).scalars()).items() if _is_bad(f)]
    db.execute(update(build_need).where(build_need.c.needs_id.in_(old)).values(needs_id=id_))
    return id_


def cancel_request(hub: Hub, who: Principal, id_: str) -> None:
    """End an open request and the builds that no other open request wants. Errors: NotFound."""
    with hub.db.write() as db:
        row = db.execute(select(request).where(request.c.id == id_).with_for_update()).one_or_none()
        if row is None:
            raise NotFound(f"there is no request {id_}")
        if row.state != "open":
            return
        links = select(request_build.c.build_id).where(request_build.c.request == id_)
        builds = load_builds(db, db.execute(links).scalars())
        failures = []
        for facts in builds.values():
            failure = {"source": facts.row.name, "version": facts.row.version, "build": facts.row.id}
            failures.append(model.PackageFailure(**failure, status="cancelled", reason="the request was cancelled"))
        events = [fail_request(db, row, failures, state="cancelled")]
        for number, facts in builds.items():
            if not facts.state.ended and not find_open_requests(db, builds=[number]):
                _cancel(db, facts, reason=f"request {id_[:12]} was cancelled")
        log_audit(db, who, "request.cancel", id_)
        tell(db, events)


def cancel_build(hub: Hub, who: Principal, id_: int) -> None:
    """Errors: NotFound; Conflict if it has ended."""
    with hub.db.write() as db:
        facts = find_facts(db, id_)
        if facts.state.ended and not facts.waits:
            raise Conflict(f"build {id_} is {facts.state} already")
        _cancel(db, facts, reason=f"cancelled by {who.name}")
        log_audit(db, who, "build.cancel", str(id_))
        tell(db, settle_requests(db, find_open_requests(db, builds=[id_])))


def resubmit_build(hub: Hub, who: Principal, id_: int) -> int:
    """Build again what ended badly, as a new build that answers the same requests; its id. Errors: Conflict."""
    with hub.db.write() as db:
        facts = find_facts(db, id_)
        if not _is_bad(facts):
            raise Conflict(f"build {id_} is {facts.state}", hint="only what ended badly can be built again")
        rely_on(db, hub.blobs, (sha256 for sha256, _ in load_source_of(db, facts.row.source_id).files.values()))
        if facts.waits:
            _cancel(db, facts, reason=f"built again by {who.name}")
        target, modes = find_target(db, facts.row.target), {arch.row.arch: arch.row.mode for arch in facts.arches}
        new = make_build(
            db,
            facts.row.request,
            target,
            facts.row.source_id,
            modes,
            scratch=facts.row.scratch,
            binnmu=None if facts.row.entry is None else BinNmu.model_validate(facts.row.entry),
        )
        if facts.needs:
            db.execute(insert(build_need), [{"build_id": new, "needs_id": needs} for needs in facts.needs])
        linked = request_build.c.build_id == id_
        requests = list(db.execute(select(request_build.c.request).where(linked)).scalars())
        db.execute(update(request_build).where(linked).values(build_id=new))
        again = request.c.id.in_(requests) & request.c.state.in_(["failed", "cancelled"])
        db.execute(update(request).where(again).values(state="open", failures=[], ended_at=None))
        log_audit(db, who, "build.resubmit", str(id_), {"new": new})
        tell(db, start_builds(db, [new]))
    return new


def find_facts(db: Connection, id_: int) -> BuildFacts:
    """Errors: NotFound."""
    found = load_builds(db, [id_]).get(id_)
    if found is None:
        raise NotFound(f"there is no build {id_}", hint="list them with: deb-orchestrator list-builds")
    return found


def _cancel(db: Connection, facts: BuildFacts, *, reason: str) -> None:
    db.execute(update(build).where(build.c.id == facts.row.id).values(cancelled=True))
    for arch in facts.arches:
        if arch.row.job_id is not None and not arch.row.imported:
            cancel_job(db, arch.row.job_id, reason=reason)
    cancel_checks(db, [arch.row.id for arch in facts.arches], reason=reason)
