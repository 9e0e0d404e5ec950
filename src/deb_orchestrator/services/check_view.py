"""Orders of checks as people and decisions look at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from deb_orchestrator.domain.checks import find_check_state
from deb_orchestrator.domain.jobs import Outcome, State
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import agent, job
from deb_orchestrator.store.tables_domain import build_arch, build_check
from debcore.hub.checks import BuildCheck, CheckState
from debcore.job import Result


@dataclass(frozen=True)
class Gate:
    """The newest order of a target's gate for one architecture."""

    state: CheckState
    reason: str


def load_gates(db: Connection, builds: Iterable[int]) -> dict[int, Gate]:
    """Gates by the id of build_arch; what has none is not held back."""
    query = _query().where(build_arch.c.build_id.in_(list(builds)), build_check.c.gate.is_(True))
    return {row.build_arch_id: Gate(_state(row), _reason(row)) for row in db.execute(query)}  # the last one stays


def is_held_back(db: Connection, build_id: int) -> bool:
    """True while a gate keeps the build's packages out of its suite."""
    return any(gate.state is not CheckState.PASSED for gate in load_gates(db, [build_id]).values())


def load_checks(db: Connection, builds: Iterable[int], *, findings: bool) -> dict[int, list[BuildCheck]]:
    """All orders by build, oldest first. Without *findings* the reports say only how many there are."""
    found: dict[int, list[BuildCheck]] = {}
    for row in db.execute(_query(result=True).where(build_arch.c.build_id.in_(list(builds)))):
        found.setdefault(row.build_id, []).append(_read(row, findings=findings))
    return found


def _query(*, result: bool = False) -> Select[Any]:
    c = build_check.c
    columns = [c.result] if result else []
    return (
        select(
            c.id, c.build_arch_id, c.job_id, c.names, c.gate, c.principal, c.created_at, *columns,
            build_arch.c.build_id, build_arch.c.arch, job.c.state.label("job_state"), job.c.outcome, job.c.reason,
            job.c.cancel_reason, job.c.ended_at, agent.c.name.label("agent_name"),
        )
        .join(build_arch, build_arch.c.id == c.build_arch_id)
        .join(job, job.c.id == c.job_id)
        .outerjoin(agent, agent.c.id == job.c.agent_id)
        .order_by(c.id)
    )  # fmt: skip


def _state(row: Row[Any]) -> CheckState:
    return find_check_state(State(row.job_state), Outcome(row.outcome) if row.outcome else None)


def _reason(row: Row[Any]) -> str:
    return str(row.reason or row.cancel_reason or "")


def _read(row: Row[Any], *, findings: bool) -> BuildCheck:
    result = Result.model_validate(row.result) if row.result else None
    reports = result.checks if result else ()
    if not findings:
        reports = tuple(report.model_copy(update={"findings": ()}) for report in reports)
    return BuildCheck(
        id=row.id, arch=row.arch, job=row.job_id, state=_state(row), gate=row.gate, names=tuple(row.names),
        by=row.principal, reason=_reason(row), agent=row.agent_name, created_at=as_datetime(row.created_at),
        ended_at=as_datetime(row.ended_at) if row.ended_at else None, failure=result.failure if result else None,
        reports=reports,
    )  # fmt: skip
