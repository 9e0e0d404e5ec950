"""Builds as lines of a list: what a page of them shows, and no more. What the reader may not see is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, true

from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.services.states import BuildFacts, load_builds
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_domain import build, build_arch, build_check, source
from debcore.hub.model import BuildState

#: Builds that are looked at for one page: a state is worked out, not stored.
_BATCH, _MOST = 100, 300
#: States of what has no packages in the hub, and where its job may be then; None: there is none yet.
_UNBUILT: Mapping[BuildState, tuple[State | None, ...]] = {
    BuildState.NEEDS_BUILD: (State.QUEUED, State.BLOCKED),
    BuildState.BUILDING: (State.RUNNING,),
    BuildState.DEP_WAIT: (State.BLOCKED, None),
    BuildState.BD_UNINSTALLABLE: (State.BLOCKED, State.FAILED),
}


@dataclass(frozen=True, kw_only=True)
class ArchLine:
    """`since`: when its job was claimed. `agent`: who has it, or had it last."""

    arch: str
    state: BuildState
    reason: str = ""
    agent: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class BuildLine:
    """`version` has the +bN of a binNMU."""

    id: int
    source: str
    version: str
    target: str
    suite: str
    state: BuildState
    created_at: datetime
    scratch: bool = False
    arches: tuple[ArchLine, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which builds; "" and None: all. `state`: any architecture of it is in that state. `before`: a build's id."""

    source: str = ""
    target: str = ""
    suite: str = ""
    arch: str = ""
    state: BuildState | None = None
    before: int | None = None


@dataclass(frozen=True)
class Lines:
    """Newest first. `older`: what `before` is of the next page; None: there is none."""

    builds: tuple[BuildLine, ...]
    older: int | None = None


def list_lines(hub: Hub, who: Principal, wanted: Wanted, *, limit: int = 50) -> Lines:
    """At most *limit*; fewer, with `older` set, where very many were looked at to find them."""
    with hub.db.read() as db:
        query = _select(wanted, load_sight(db, who))
        found: list[BuildLine] = []
        before, looked = wanted.before, 0
        while looked < _MOST:
            batch = limit + 1 if wanted.state is None else _BATCH
            page = query if before is None else query.where(build.c.id < before)
            ids = list(db.execute(page.limit(batch)).scalars())
            for line in read_lines(db, ids):
                if len(found) == limit:
                    return Lines(tuple(found), found[-1].id)
                if _fits(line, wanted):
                    found.append(line)
            if len(ids) < batch:
                return Lines(tuple(found))
            before, looked = ids[-1], looked + len(ids)
    return Lines(tuple(found), before)


def _select(wanted: Wanted, sight: Sight) -> Select[Any]:
    query = select(build.c.id).join(source, source.c.id == build.c.source_id).order_by(build.c.id.desc())
    tests: list[ColumnElement[bool]] = [sight.builds()]
    for column, value in (
        (source.c.name, wanted.source),
        (build.c.target, wanted.target),
        (build.c.suite, wanted.suite),
    ):
        if value:
            tests.append(column == value)
    if wanted.state is not None:
        tests.append(_may_be(wanted.state))
    if wanted.arch:
        tests.append(exists().where(build_arch.c.build_id == build.c.id, build_arch.c.arch == wanted.arch))
    return query.where(*tests)


def _may_be(state: BuildState) -> ColumnElement[bool]:
    """What each build in *state* has, as domain/builds.py works states out; others may have it too."""
    mine = build_arch.c.build_id == build.c.id
    if state in _UNBUILT:
        at = _UNBUILT[state]
        known = [one for one in at if one is not None]
        there: ColumnElement[bool] = exists().where(job.c.id == build_arch.c.job_id, job.c.state.in_(known))
        if None in at:
            there |= build_arch.c.job_id.is_(None)
        return exists().where(mine, build_arch.c.imported.is_(False), there)
    if state is not BuildState.FAILED:
        return true()
    failed = exists().where(job.c.id == build_arch.c.job_id, job.c.state == State.FAILED.value)
    gated = exists().where(build_check.c.build_arch_id == build_arch.c.id, build_check.c.gate)
    return exists().where(mine, build_arch.c.refused.is_not(None) | failed | gated)


def _fits(line: BuildLine, wanted: Wanted) -> bool:
    if wanted.state is None:
        return True
    return any(one.state == wanted.state and wanted.arch in ("", one.arch) for one in line.arches)


def read_lines(db: Connection, ids: Iterable[int]) -> list[BuildLine]:
    """The builds *ids* in that order; unknown ones are left out."""
    return [make_line(facts) for facts in load_builds(db, ids).values()]


def make_line(facts: BuildFacts) -> BuildLine:
    row = facts.row
    return BuildLine(
        id=row.id, source=row.name, version=shown_version(row.version, row.binnmu), target=row.target, suite=row.suite,
        state=facts.state, created_at=as_datetime(row.created_at), scratch=row.scratch,
        arches=tuple(
            ArchLine(
                arch=one.row.arch, state=one.state, reason=one.reason, agent=one.row.agent_name,
                since=as_datetime(one.row.claimed_at) if one.row.claimed_at else None,
            )
            for one in facts.arches
        ),
    )  # fmt: skip


def shown_version(version: str, binnmu: int | None) -> str:
    """As the packages have it: with +bN of a binNMU."""
    return version if binnmu is None else f"{version}+b{binnmu}"


def list_arches(lines: Sequence[BuildLine]) -> list[str]:
    """All architectures of them, sorted."""
    return sorted({one.arch for line in lines for one in line.arches})
