"""Facts of builds from SQL, turned into wanna-build's words by domain/builds.py. For queries and decisions alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from deb_orchestrator.domain.builds import Facts, find_state, find_whole
from deb_orchestrator.domain.jobs import Outcome, State
from deb_orchestrator.domain.waits import is_dep_wait
from deb_orchestrator.services.check_view import Gate, load_gates
from deb_orchestrator.services.suite_view import find_order, load_parents
from deb_orchestrator.store.tables import agent, job, job_attempt
from deb_orchestrator.store.tables_domain import build, build_arch, build_need, source, target
from deb_orchestrator.store.tables_publish import publication
from debcore.hub.model import BuildState
from debcore.job import Unmet

_SEES = func.coalesce(target.c.build_suite, build.c.suite)


@dataclass(frozen=True, kw_only=True)
class ArchState:
    """One architecture of a build: its row (of build_arch joined with its job and agent), state and reason."""

    row: Row[Any]
    state: BuildState
    reason: str

    @property
    def waits(self) -> bool:
        """True if its dependencies could not be met: nothing moves it but another publication."""
        return bool(self.row.job_state == State.BLOCKED and self.row.job_outcome == Outcome.DEPS)


@dataclass(frozen=True, kw_only=True)
class BuildFacts:
    """A build: its row (of build joined with source; `build_suite` is what it sees), architectures, state and needs."""

    row: Row[Any]
    arches: tuple[ArchState, ...]
    needs: tuple[int, ...]
    open_needs: tuple[int, ...]

    @property
    def state(self) -> BuildState:
        return find_whole(arch.state for arch in self.arches)

    @property
    def waits(self) -> bool:
        return any(arch.waits for arch in self.arches)


def load_builds(db: Connection, ids: Iterable[int]) -> dict[int, BuildFacts]:
    """The facts of the builds *ids*, by id in the order of *ids*."""
    wanted = list(dict.fromkeys(ids))
    columns = (source.c.name, source.c.version, source.c.dsc_sha256, _SEES.label("build_suite"))
    query = select(build, *columns).join(source, source.c.id == build.c.source_id)
    query = query.join(target, target.c.name == build.c.target).where(build.c.id.in_(wanted))
    rows = {row.id: row for row in db.execute(query)}
    published = {suite: _load_published(db, suite) for suite in {row.suite for row in rows.values()}}
    needs = _load_needs(db, rows)
    gates = load_gates(db, [row.id for row in rows.values() if row.added_event is None])
    arches: dict[int, list[Row[Any]]] = {}
    for arch in db.execute(_arch_query().where(build_arch.c.build_id.in_(wanted)).order_by(build_arch.c.id)):
        arches.setdefault(arch.build_id, []).append(arch)
    return {
        id_: _facts(rows[id_], arches.get(id_, []), needs.get(id_, []), published[rows[id_].suite], gates)
        for id_ in wanted
        if id_ in rows
    }


@dataclass(frozen=True)
class Published:
    """How far a suite is published: the live generation holds it as of event `live` (-1: there is none).

    `refused`: the newest generation, as of event `refused_event`, will not be signed, and why.
    """

    live: int = -1
    refused: str | None = None
    refused_event: int = -1

    def has(self, added_event: int | None) -> bool:
        return added_event is not None and added_event <= self.live

    def find_refusal(self, added_event: int | None) -> str | None:
        if added_event is None or self.has(added_event) or added_event > self.refused_event:
            return None
        return self.refused


def _facts(
    row: Row[Any], arches: list[Row[Any]], needs: list[tuple[int, str, bool]], published: Published,
    gates: Mapping[int, Gate],
) -> BuildFacts:  # fmt: skip
    waiting = tuple((number, name) for number, name, installed in needs if not installed)
    found = []
    for arch in arches:
        gate = gates.get(arch.id)
        facts = Facts(
            cancelled=row.cancelled, refused=arch.refused, imported=arch.imported, scratch=row.scratch,
            live=published.has(row.added_event), unpublished=published.find_refusal(row.added_event),
            job=State(arch.job_state) if arch.job_state else None,
            outcome=Outcome(arch.job_outcome) if arch.job_outcome else None,
            reason=arch.job_reason or arch.job_cancel_reason or "", needs=waiting,
            dep_wait=is_dep_wait(_find_unmet(arch)), gate=gate.state if gate else None,
            gate_reason=gate.reason if gate else "",
        )  # fmt: skip
        state, reason = find_state(facts)
        found.append(ArchState(row=arch, state=state, reason=reason))
    return BuildFacts(
        row=row, arches=tuple(found), needs=tuple(number for number, *_ in needs),
        open_needs=tuple(number for number, _ in waiting),
    )  # fmt: skip


def _find_unmet(arch: Row[Any]) -> list[Unmet]:
    """The proof that its dependencies cannot be met: the solver's, else that of the builder, which came later."""
    failure = (arch.result or {}).get("failure") or {}
    proof = (arch.solved or {}).get("unmet") or failure.get("unmet") or ()
    return [Unmet.model_validate(one) for one in proof]


def _arch_query() -> Any:
    return (
        select(
            build_arch, job.c.state.label("job_state"), job.c.outcome.label("job_outcome"),
            job.c.reason.label("job_reason"), job.c.cancel_reason.label("job_cancel_reason"),
            job.c.attempt.label("job_attempt"), job.c.ended_at.label("job_ended_at"),
            job.c.trace.label("job_trace"),
            agent.c.name.label("agent_name"), job_attempt.c.claimed_at.label("claimed_at"),
        )
        .outerjoin(job, job.c.id == build_arch.c.job_id)
        .outerjoin(agent, agent.c.id == job.c.agent_id)
        .outerjoin(job_attempt, (job_attempt.c.job_id == job.c.id) & (job_attempt.c.attempt == job.c.attempt))
    )  # fmt: skip


def _load_needs(db: Connection, builds: Mapping[int, Row[Any]]) -> dict[int, list[tuple[int, str, bool]]]:
    """What each waits for: number, name, and whether the suite that it sees has it by now."""
    query = (
        select(build_need.c.build_id, build.c.id, build.c.suite, build.c.added_event, source.c.name)
        .join(build, build.c.id == build_need.c.needs_id)
        .join(source, source.c.id == build.c.source_id)
        .where(build_need.c.build_id.in_(list(builds)))
        .order_by(build.c.id)
    )
    needs: dict[int, list[tuple[int, str, bool]]] = {}
    rows = db.execute(query).all()
    parents = load_parents(db) if rows else {}
    seen = {(one.build_suite, row.suite) for row in rows for one in [builds[row.build_id]]}
    # A suite that does not inherit from the other's is no reason to wait longer than for the other's publication.
    ask = {(sees, goes): sees if goes in find_order(parents, sees) else goes for sees, goes in seen}
    published = {suite: _load_published(db, suite) for suite in set(ask.values())}
    for row in rows:
        installed = published[ask[builds[row.build_id].build_suite, row.suite]].has(row.added_event)
        needs.setdefault(row.build_id, []).append((row.id, row.name, installed))
    return needs


def _load_published(db: Connection, suite: str) -> Published:
    mine = select(publication).where(publication.c.suite == suite)
    live = db.execute(mine.where(publication.c.state == "live")).one_or_none()
    newest = db.execute(mine.order_by(publication.c.generation.desc()).limit(1)).one_or_none()
    event = -1 if live is None else int(live.event)
    if newest is None or newest.state != "refused":
        return Published(event)
    return Published(event, newest.reason or "no reason given", newest.event)
