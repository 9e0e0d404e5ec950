"""The solver before dispatch: one pass over all that waits for it, on the suite as of one event and its archive.

What can be had is queued; what cannot waits for exactly what the proof names (services/waiting.py), and no builder was
taken. The last finding stands in `build_arch.solved`: {suite, event, archive (hashes of Release files), at, unmet,
problem}. Where the solver cannot be asked, `problem` says why, and the builder decides as it does without one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch.events import NewEvent
from deb_orchestrator.dispatch.tokens import lock_waiting, release_jobs, wait_on
from deb_orchestrator.domain.jobs import Outcome, State
from deb_orchestrator.services.asking import ask_solver, find_archive, is_for_solver, solver_token
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.progress import PROGRESS, requested, tell
from deb_orchestrator.services.states import load_builds
from deb_orchestrator.services.suite_view import load_view, select_content
from deb_orchestrator.services.waiting import make_tokens
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import job, job_wait
from deb_orchestrator.store.tables_domain import build, build_arch, source, target
from deb_orchestrator.store.tables_publish import binary_package, publication, suite
from debcore.errors import Failure
from debcore.job import AptSource, Unmet
from debcore.relations import reduce_build_depends
from debroot.dose import Asked, Said, ask_dose_of_many, describe_unmet
from debroot.store import Store

log = logging.getLogger(__name__)

#: Builds of one transaction.
BATCH = 200
#: Seconds that a look at the archive is good for the pass that follows it.
FRESH_S = 300.0
#: Characters of a reason.
MOST = 500


class Solver(Protocol):
    """What decides. Errors: Failure if it cannot be asked."""

    def solve(self, sources: Sequence[AptSource], arch: str, asked: Sequence[Asked], packages: bytes) -> Said:
        """Reasons for each of *asked* on *sources* and the Packages index *packages*; without any, only the hashes."""


@dataclass(frozen=True)
class DoseSolver:
    """dose3 in a tools root of the store at *store* (None: the host's)."""

    store: Path | None = None

    def solve(self, sources: Sequence[AptSource], arch: str, asked: Sequence[Asked], packages: bytes) -> Said:
        max_age = FRESH_S if asked else 0.0
        return ask_dose_of_many(Store.open(self.store), sources, arch, asked, packages=packages, max_age=max_age)


@dataclass(frozen=True)
class Case:
    """One build that waits. `is_asked`: for the solver; else for what an earlier finding named."""

    row: Row[Any]
    is_asked: bool

    @property
    def archive(self) -> Any:
        return (self.row.solved or {}).get("archive")


def solve_suite(hub: Hub, solver: Solver, name: str, arch: str) -> None:
    """Decide on all that waits for the solver, and anew on what waited before the archive changed."""
    with hub.db.read() as db:
        sources, event = find_archive(db, name), find_live_event(db, name)
        cases = _load_cases(db, name, arch)
        packages = _load_packages(db, name, event, arch) if cases else b""
    if not cases:
        return
    try:
        hashes = solver.solve(sources, arch, (), b"").release_hashes if sources else {}
        cases = [one for one in cases if one.is_asked or (sources and one.archive != hashes)]
        asked, problems = _reduce(cases, arch)
        wanted = [one for one in asked if one is not None]
        said = solver.solve(sources, arch, wanted, packages) if wanted and sources else Said(((),) * len(wanted), {})
        found = iter(said.unmet)
        unmet = [() if one is None else next(found) for one in asked]
        hashes = said.release_hashes or hashes
    except Exception as failure:  # whatever it is, builds must not wait for a solver that cannot answer
        log.error("the solver cannot be asked about %s %s: %s", name, arch, failure, exc_info=_is_ours(failure))
        cases = [one for one in cases if one.is_asked]
        unmet, problems, hashes = [()] * len(cases), [f"the solver could not be asked: {failure}"] * len(cases), {}
    fact = {"suite": name, "event": event, "archive": dict(hashes)}
    for start in range(0, len(cases), BATCH):
        part = slice(start, start + BATCH)
        with hub.db.write() as db:
            _decide(db, fact, arch, list(zip(cases[part], unmet[part], problems[part], strict=True)))


def _is_ours(error: Exception) -> bool:
    """Whether it is a defect of ours, whose traceback is wanted."""
    return not isinstance(error, (Failure, OSError))


def find_live_event(db: Connection, name: str) -> int:
    """The event as of which the suite is published; 0 before it is."""
    live = sa.select(publication.c.event).where(publication.c.suite == name, publication.c.state == "live")
    return int(db.execute(live).scalar() or 0)


def _load_cases(db: Connection, name: str, arch: str) -> list[Case]:
    sees = sa.func.coalesce(target.c.build_suite, build.c.suite)
    token = solver_token(name, arch)
    asked = sa.exists().where(job_wait.c.job_id == job.c.id, job_wait.c.token == token)
    columns = (build_arch.c.id, build_arch.c.mode, build_arch.c.solved, build.c.scratch, target.c.profiles)
    query: sa.Select[Any] = sa.select(
        *columns, source.c.fields, job.c.id.label("job_id"), job.c.kind, job.c.arch, job.c.spec, asked.label("asked")
    )
    query = query.join(job, job.c.id == build_arch.c.job_id).join(build, build.c.id == build_arch.c.build_id)
    query = query.join(source, source.c.id == build.c.source_id).join(target, target.c.name == build.c.target)
    query = query.where(sees == name, job.c.arch == arch, job.c.state == State.BLOCKED.value)
    query = query.where(asked | (job.c.outcome == Outcome.DEPS.value)).order_by(job.c.id)
    return [Case(row, bool(row.asked)) for row in db.execute(query) if is_for_solver(row)]


def _load_packages(db: Connection, name: str, event: int, arch: str) -> bytes:
    """A Packages index of what the suite, inheritance included, had at *event*."""
    if not event:
        return b""
    p = binary_package.c
    query = select_content(load_view(db, name, event), "binary", p.stanza).where(p.arch.in_([arch, "all"]))
    return "\n".join(stanza.strip("\n") + "\n" for stanza in db.execute(query).scalars()).encode()


def _reduce(cases: Sequence[Case], arch: str) -> tuple[list[Asked | None], list[str]]:
    """What each needs, and why that cannot be said: then the builder says what is wrong with the source."""
    asked: list[Asked | None] = []
    problems: list[str] = []
    for case in cases:
        mode = case.row.mode
        parts = {"any": mode != "all", "all": mode not in ("any", "source")}
        fields = {name.title(): value for name, value in case.row.fields.items()}
        try:
            asked.append(Asked(*reduce_build_depends(fields, **parts, arch=arch, profiles=case.row.profiles)))
            problems.append("")
        except Failure as failure:
            asked.append(None)
            problems.append(f"its build dependencies cannot be read: {failure}")
    return asked, problems


def _decide(
    db: Connection, fact: Mapping[str, Any], arch: str, found: Sequence[tuple[Case, tuple[Unmet, ...], str]]
) -> None:
    # The publisher's switch waits for this row, so that no publication goes unseen between our look and our tokens.
    db.execute(sa.select(suite.c.name).where(suite.c.name == fact["suite"]).with_for_update(read=True))
    if find_live_event(db, fact["suite"]) != fact["event"]:
        ask_solver(db, fact["suite"], arch)
        return
    events: list[NewEvent] = []
    for case, unmet, problem in found:
        row = lock_waiting(db, case.row.job_id)
        if row is None:
            continue  # cancelled, or judged by another pass
        proof = [one.model_dump(mode="json") for one in unmet]
        finding = {**fact, "at": now(db), "unmet": proof, "problem": problem}
        before = case.row.solved or {}
        db.execute(sa.update(build_arch).where(build_arch.c.id == case.row.id).values(solved=finding))
        if not unmet:
            release_jobs(db, [row])
            events += _tell_released(db, case)
        elif case.is_asked or before.get("unmet") != proof:
            tokens = make_tokens(fact["suite"], fact["event"], unmet)
            wait_on(db, row, tokens, outcome=Outcome.DEPS, reason=_say(unmet))
            events.append(_unmet_event(db, case, finding))
    hint(db, PROGRESS)
    tell(db, events)


def _tell_released(db: Connection, case: Case) -> list[NewEvent]:
    """Message 2 of the first attempt: only now may a builder have it."""
    arch = db.execute(sa.select(build_arch).where(build_arch.c.id == case.row.id)).one()
    if arch.requested_attempt:
        return []
    db.execute(sa.update(build_arch).where(build_arch.c.id == arch.id).values(requested_attempt=1))
    return [requested(load_builds(db, [arch.build_id])[arch.build_id], arch, arch.job_id, attempt=1)]


def _unmet_event(db: Connection, case: Case, finding: Mapping[str, Any]) -> NewEvent:
    arch = db.execute(sa.select(build_arch).where(build_arch.c.id == case.row.id)).one()
    facts = load_builds(db, [arch.build_id])[arch.build_id].row
    data = {key: finding[key] for key in ("suite", "event", "unmet")} | {"source": facts.name}
    return NewEvent(
        type="build.unmet", data=data, request=facts.request, build=arch.build_id, arch=arch.arch, job=arch.job_id
    )


def _say(unmet: Sequence[Unmet]) -> str:
    """The first sentence of each reason."""
    return "; ".join(next(describe_unmet(one)) for one in unmet)[:MOST]
