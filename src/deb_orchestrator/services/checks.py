"""Checks of what was built: ordered by a target's plan or a person, done by agents, judged here.

A target's gate holds a build's packages back: they get into the suite when the newest order of each architecture has
passed. Which findings are fatal is deb-mock's to say, by the policy that goes with the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.events import NewEvent
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.checks import find_contradiction
from deb_orchestrator.services.check_view import is_held_back, load_gates
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import rely_on
from deb_orchestrator.services.progress import tell
from deb_orchestrator.services.results import note_results
from deb_orchestrator.services.sources import load_source_of
from deb_orchestrator.services.states import ArchState, BuildFacts, load_builds
from deb_orchestrator.services.targets import HUB_POOL, find_target, keep_policy, make_requirement
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_domain import artifact, build, build_arch, build_check, request, request_build
from debcore.errors import Failure
from debcore.hub.checks import CheckAsk, CheckPlan, CheckState
from debcore.hub.model import BuildSpec
from debcore.job import Checks, Input, Job, Result
from debcore.job import Target as JobTarget

#: What an agent must be able to do.
CAPABILITY = "check"
#: Seconds that all checks of one order may take.
DEADLINE_S = 6 * 3600
_WANTED = ("deb", "udeb", "changes", "buildinfo")


def plan_checks(db: Connection, build_id: int, arch_id: int) -> list[NewEvent]:
    """What the target wants checked of an architecture that was just taken in. In the caller's transaction.

    Errors: Failure if there is nothing that can be checked.
    """
    facts = load_builds(db, [build_id])[build_id]
    target = find_target(db, facts.row.target)
    if target.checks is None or facts.row.cancelled:
        return []
    arch = next(one for one in facts.arches if one.row.id == arch_id)
    gate = target.checks.gate and not facts.row.scratch
    return [_order(db, facts, arch, target.checks, gate=gate, by=f"target {target.name}")]


def order_checks(hub: Hub, who: Principal, build_id: int, ask: CheckAsk) -> None:
    """Errors: NotFound; Conflict if nothing was built that could be checked, or there is no gate to try again."""
    keep_policy(hub, ask)
    with hub.db.write() as db:
        db.execute(select(build.c.id).where(build.c.id == build_id).with_for_update())
        facts = load_builds(db, [build_id]).get(build_id)
        if facts is None:
            raise NotFound(f"there is no build {build_id}", hint="list them with: deb-orchestrator list-builds")
        arches = [one for one in facts.arches if not ask.arches or one.row.arch in ask.arches]
        if unknown := sorted(set(ask.arches) - {one.row.arch for one in facts.arches}):
            raise NotFound(f"build {build_id} is not for {', '.join(unknown)}")
        if missing := [one.row.arch for one in arches if not one.row.imported or one.row.refused is not None]:
            raise Conflict(f"build {build_id} has no packages for {', '.join(missing)}", hint="wait until it is built")
        plan: CheckPlan | CheckAsk = ask
        if ask.gate:
            plan = _find_gate(db, facts)
            arches = [one for one in arches if _may_try_again(db, facts, one)]
            if not arches:
                raise Conflict(f"the gate of build {build_id} is passed, or its checks are under way")
            _reopen_requests(db, build_id)
        rely_on(db, hub.blobs, _find_inputs(db, facts, arches))
        events = [_order(db, facts, one, plan, gate=ask.gate, by=who.name) for one in arches]
        log_audit(db, who, "build.check", str(build_id), {"names": list(plan.names), "gate": ask.gate})
        tell(db, events)


def _find_inputs(db: Connection, facts: BuildFacts, arches: Sequence[ArchState]) -> list[str]:
    query = select(artifact.c.sha256).where(artifact.c.build_arch_id.in_([one.row.id for one in arches]))
    made = db.execute(query.where(artifact.c.kind.in_([*_WANTED, "log"]))).scalars()
    return [*made, *(sha256 for sha256, _ in load_source_of(db, facts.row.source_id).files.values())]


def _find_gate(db: Connection, facts: BuildFacts) -> CheckPlan:
    """Errors: Conflict."""
    row = facts.row
    if row.added_event is not None or row.scratch or row.cancelled:
        why = "is in its suite" if row.added_event is not None else "will be in no suite"
        raise Conflict(f"build {row.id} {why}: no gate holds it back")
    plan = find_target(db, row.target).checks
    if plan is None or not plan.gate:
        raise Conflict(f"target {row.target} has no gate", hint="deb-orchestrator target checks gives it one")
    return plan


def _may_try_again(db: Connection, facts: BuildFacts, arch: ArchState) -> bool:
    gate = load_gates(db, [facts.row.id]).get(arch.row.id)
    return gate is None or (gate.state.ended and gate.state is not CheckState.PASSED)


def _reopen_requests(db: Connection, build_id: int) -> None:
    linked = select(request_build.c.request).where(request_build.c.build_id == build_id)
    again = request.c.id.in_(linked) & request.c.state.in_(["failed", "cancelled"])
    db.execute(update(request).where(again).values(state="open", failures=[], ended_at=None))


def _order(
    db: Connection, facts: BuildFacts, arch: ArchState, plan: CheckPlan | CheckAsk, *, gate: bool, by: str
) -> NewEvent:
    row = facts.row
    new = jobs.NewJob(
        kind="check",
        spec=BuildSpec(job=_make_job(db, facts, arch, plan), suite=row.build_suite).model_dump(mode="json"),
        requires=make_requirement(find_target(db, row.target), arch.row.arch, CAPABILITY), owner=by,
        priority=0 if gate else -10, max_attempts=3, parent_id=arch.row.job_id, request_id=row.request,
        build_id=row.id, arch=arch.row.arch,
    )  # fmt: skip
    job_id = statements.enqueue(db, new)
    values: dict[str, Any] = {"policy_sha256": None if plan.policy is None else _hash(plan.policy)}
    values |= {"build_arch_id": arch.row.id, "job_id": job_id, "names": list(plan.names), "gate": gate, "principal": by}
    id_ = db.execute(insert(build_check).values(**values, created_at=now(db)).returning(build_check.c.id)).scalar_one()
    data = {"check": id_, "names": list(plan.names), "gate": gate, "by": by}
    return _event("checks.requested", facts, arch.row, job_id, data)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _make_job(db: Connection, facts: BuildFacts, arch: ArchState, plan: CheckPlan | CheckAsk) -> Job:
    """The packages, their source and log in one directory of their own: their names are a builder's."""
    known, target = load_source_of(db, facts.row.source_id), find_target(db, facts.row.target)
    inputs = {f"packages/{name}": (sha256, size) for name, (sha256, size) in known.files.items()}
    changes, log = [], None
    for file in db.execute(select(artifact).where(artifact.c.build_arch_id == arch.row.id).order_by(artifact.c.name)):
        path = f"packages/{file.name}"
        if file.kind == "log" and file.name == "build.log":
            log = path
        elif file.kind not in _WANTED:
            continue
        if file.kind == "changes":
            changes.append(path)
        inputs[path] = (file.sha256, file.size)
    if len(changes) != 1:
        raise Failure(f"the build of {facts.row.name} has {len(changes)} .changes files, and a check needs one")
    if plan.policy is not None:
        text = plan.policy.encode()
        inputs["policy.toml"] = (hashlib.sha256(text).hexdigest(), len(text))
    return Job(
        kind="check", job="0", request=facts.row.request, build=str(facts.row.id), source=changes[0],
        inputs=tuple(Input(path=path, sha256=sha256, size=size) for path, (sha256, size) in sorted(inputs.items())),
        target=JobTarget(preset=target.preset, arch=arch.row.arch), deadline_s=DEADLINE_S,
        checks=Checks(
            names=plan.names, fail_on=plan.fail_on, log=log, policy="policy.toml" if plan.policy is not None else None
        ),
    )  # fmt: skip


def finish_check(
    hub: Hub, agent: int, held: tuple[int, int, str], result: Result, outcome: jobs.Outcome, digest: str
) -> jobs.Finished:
    """Take the result of a check whose files are here. What a gate has waited for is then added by a job of the hub."""
    job_id = held[0]
    with hub.db.write() as db:
        row = _lock(db, job_id)
        reason = result.failure.message if result.failure else ""
        if wrong := find_contradiction(row.names, result):
            outcome, reason = jobs.Outcome.INVALID, wrong
        document = result.model_dump(mode="json")
        done = statements.finish(
            db, *held, outcome, document, digest, reason=reason, waits_for=None, agent=agent, policy=hub.policy
        )
        if not done.replayed and done.state.is_terminal:
            db.execute(update(build_check).where(build_check.c.job_id == job_id).values(result=document))
            note_results(db, row.build_arch_id, result)
            if row.gate:
                admit_if_passed(db, row.build_id, row.id)
            tell(db, [_complete(db, row, result, done)])
    return done


def _lock(db: Connection, job_id: int) -> Any:
    """The order of the job, its build locked: the last of several architectures sees what all others did."""
    query = (
        select(
            build_check.c.id,
            build_check.c.names,
            build_check.c.gate,
            build_check.c.build_arch_id,
            build_arch.c.build_id,
            build_arch.c.arch,
        )
        .join(build_arch, build_arch.c.id == build_check.c.build_arch_id)
        .where(build_check.c.job_id == job_id)
    )
    row = db.execute(query).one()
    db.execute(select(build.c.id).where(build.c.id == row.build_id).with_for_update())
    return row


def admit_if_passed(db: Connection, build_id: int, check_id: int) -> None:
    """Have the build's packages added if no gate holds them back any more and all of them are here."""
    left = select(build_arch.c.id).where(build_arch.c.build_id == build_id, build_arch.c.imported.is_(False))
    if is_held_back(db, build_id) or db.execute(left).first() is not None:
        return
    requires = jobs.Requirement(pool=HUB_POOL)
    spec, key = {"build": build_id}, f"admit:{build_id}:{check_id}"
    statements.enqueue(
        db, jobs.NewJob(kind="admit", spec=spec, requires=requires, key=key, build_id=build_id, priority=60)
    )


def _complete(db: Connection, row: Row[Any], result: Result, done: jobs.Finished) -> NewEvent:
    facts = load_builds(db, [row.build_id])[row.build_id]
    outcomes = {report.name: report.outcome for report in result.checks}
    data = {"check": row.id, "status": done.outcome.value, "reason": done.reason, "outcomes": outcomes}
    arch = next(one.row for one in facts.arches if one.row.arch == row.arch)
    return _event("checks.complete", facts, arch, done.job, data, attempt=done.attempt)


def _event(
    type_: str, facts: BuildFacts, arch: Row[Any], job_id: int, data: dict[str, Any], *, attempt: int | None = None
) -> NewEvent:
    return NewEvent(
        type=type_, data=data, request=facts.row.request, build=facts.row.id, arch=arch.arch, attempt=attempt,
        job=job_id,
    )  # fmt: skip


def cancel_checks(db: Connection, arches: Sequence[int], *, reason: str) -> None:
    """Stop the checks of these rows of build_arch that are not over."""
    waiting = [state.value for state in jobs.OPEN]
    query = select(build_check.c.job_id).join(job, job.c.id == build_check.c.job_id)
    query = query.where(build_check.c.build_arch_id.in_(arches), job.c.state.in_(waiting)).order_by(job.c.id)
    for job_id in list(db.execute(query).scalars()):
        statements.cancel(db, job_id, reason=reason)


def find_check_log(hub: Hub, build_id: int, check_id: int, name: str) -> str:
    """SHA-256 of the log that the check *name* of that order left. Errors: NotFound."""
    query = (
        select(build_check.c.result)
        .join(build_arch, build_arch.c.id == build_check.c.build_arch_id)
        .where(build_arch.c.build_id == build_id, build_check.c.id == check_id)
    )
    with hub.db.read() as db:
        found = db.execute(query).scalar_one_or_none()
    result = Result.model_validate(found) if found else None
    logs = {output.path: output.sha256 for output in result.outputs if output.kind == "log"} if result else {}
    paths = [report.log for report in result.checks if report.name == name] if result else []
    if not paths or paths[0] not in logs:
        raise NotFound(f"build {build_id} has no log of that check")
    return logs[paths[0]]
