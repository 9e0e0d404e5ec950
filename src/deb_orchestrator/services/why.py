"""Why a build is where it is: facts in words, each with what would change it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services.check_view import load_checks
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.requests import find_facts
from deb_orchestrator.services.states import ArchState, BuildFacts
from deb_orchestrator.services.takers import explain_queued
from deb_orchestrator.services.waiting import list_waits
from deb_orchestrator.store.tables import agent, job_log
from deb_orchestrator.store.tables_domain import request_build
from deb_orchestrator.store.tables_publish import publication
from debcore.hub.checks import BuildCheck, CheckState
from debcore.hub.model import BuildState, Reason
from debcore.job import Unmet
from debroot.dose import describe_unmet


def explain_build(hub: Hub, id_: int, *, frank: bool = True) -> list[Reason]:
    """*frank*: with faults of builders in words, which may tell of other builds. Errors: NotFound."""
    with hub.db.read() as db:
        facts = find_facts(db, id_)
        reasons = [_asked(db, facts)]
        for arch in facts.arches:
            reasons += _explain_arch(db, facts, arch, frank=frank)
        for check in load_checks(db, [id_], findings=False).get(id_, ()):
            reasons += _explain_check(db, id_, check, frank=frank)
    return reasons


def _explain_check(db: Connection, build: int, check: BuildCheck, *, frank: bool) -> list[Reason]:
    """What has passed needs no words."""
    subject = f"{'gate' if check.gate else 'check'} {check.id} {check.arch}"
    if check.state is CheckState.QUEUED:
        return [explain_queued(db, subject, check.job, frank=frank)]
    if check.state not in (CheckState.FAILED, CheckState.ERROR):
        return []
    fact = f"{check.state}: {check.reason}" if check.reason else str(check.state)
    again = f"try again with: deb-orchestrator check {build} --gate" if check.gate else ""
    return [Reason(subject=subject, fact=fact, next=again)]


def _asked(db: Connection, facts: BuildFacts) -> Reason:
    row = facts.row
    linked = select(request_build.c.request).where(request_build.c.build_id == row.id).order_by(request_build.c.request)
    names = ", ".join(id_[:12] for id_ in db.execute(linked).scalars())
    return Reason(
        subject=f"build {row.id}", fact=f"{row.name} {row.version} was asked for by request {names or row.request[:12]}"
    )


def _explain_arch(db: Connection, facts: BuildFacts, arch: ArchState, *, frank: bool) -> list[Reason]:
    row, subject = arch.row, f"build {facts.row.id} {arch.row.arch}"
    fact = f"{arch.state}: {arch.reason}" if arch.reason else str(arch.state)
    reasons = [Reason(subject=subject, fact=fact, next="" if _is_kept_out(arch) else _next(arch.state, facts))]
    if row.job_id is None:
        return reasons
    if arch.waits and (waits := list_waits(db, row.job_id)):
        one = " or ".join(waits)
        reasons[0] = Reason(
            subject=subject, fact=fact, next=f"it is tried again when {facts.row.build_suite} gets {one}"
        )
    reasons += _explain_solver(subject, row.solved)
    if row.job_state == State.QUEUED.value:
        reasons.append(explain_queued(db, subject, row.job_id, frank=frank))
    if arch.state == BuildState.UPLOADED:
        reasons += _unpublished(db, subject, facts.row.suite)
    moves = select(job_log).where(job_log.c.job_id == row.job_id, job_log.c.reason != "").order_by(job_log.c.id)
    reasons += [
        Reason(subject=subject, fact=f"attempt {move.attempt}: {move.name}: {move.reason}")
        for move in db.execute(moves)
    ]
    if row.job_trace is not None:
        reasons.append(Reason(subject=subject, fact=f"its lines in the logs carry the trace {row.job_trace}"))
    return reasons


def _is_kept_out(arch: ArchState) -> bool:
    """A gate's refusal: what to do is said where the gate is explained."""
    return arch.state == BuildState.FAILED and bool(arch.row.imported) and arch.row.refused is None


def _explain_solver(subject: str, solved: dict[str, Any] | None) -> list[Reason]:
    """What the solver found before a builder was taken, with the chain that leads to each clause nobody meets."""
    if solved is None:
        return []
    if solved["problem"]:
        return [Reason(subject=subject, fact=solved["problem"], next="the builder decides")]
    seen = f"the solver, on {solved['suite']} as of event {solved['event']} and {len(solved['archive'])} Release files"
    if not solved["unmet"]:
        return [Reason(subject=subject, fact=f"{seen}: its build dependencies can be had")]
    proofs = [list(describe_unmet(Unmet.model_validate(one))) for one in solved["unmet"]]
    return [Reason(subject=subject, fact=f"{seen}: {'; '.join(line.strip() for line in proof)}") for proof in proofs]


def _unpublished(db: Connection, subject: str, suite: str) -> list[Reason]:
    newest = select(publication).where(publication.c.suite == suite).order_by(publication.c.generation.desc()).limit(1)
    row = db.execute(newest).one_or_none()
    if row is None or row.state != "signing":
        return []
    fact = f"generation {row.generation} of {suite} waits for the signer"
    signers = [one for one in db.execute(select(agent).where(agent.c.state == "approved")) if "sign" in one.pools]
    if not signers:
        return [Reason(subject=subject, fact=f"{fact}, and none is approved", next="deb-orchestrator signer --hub URL")]
    return [Reason(subject=subject, fact=f"{fact} ({', '.join(one.name for one in signers)})")]


def _next(state: BuildState, facts: BuildFacts) -> str:
    id_ = facts.row.id
    return {
        BuildState.FAILED: f"read its log: deb-orchestrator logs {id_}; again: deb-orchestrator resubmit {id_}",
        BuildState.BUILD_ATTEMPTED: f"try again with: deb-orchestrator resubmit {id_}",
        BuildState.CANCELLED: f"try again with: deb-orchestrator resubmit {id_}",
        BuildState.BD_UNINSTALLABLE: f"it is tried again when {facts.row.build_suite} changes",
        BuildState.DEP_WAIT: "it starts when they are installed",
        BuildState.UPLOADED: "the suite's next publication holds it",
    }.get(state, "")
