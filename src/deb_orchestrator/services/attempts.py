"""What the holder of an attempt may do: beat, send its log and events, finish. Each call proves its grant."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.events import NewEvent
from deb_orchestrator.domain import jobs
from deb_orchestrator.services import checks, publish
from deb_orchestrator.services.hub import Denied, Hub
from deb_orchestrator.services.progress import PROGRESS, requested, tell
from deb_orchestrator.services.results import note_result, note_results
from deb_orchestrator.services.states import load_builds
from deb_orchestrator.services.targets import HUB_POOL
from deb_orchestrator.services.uploads import check_blobs, find_blob
from deb_orchestrator.services.waiting import catch_up, find_tokens
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import agent as agent_table
from deb_orchestrator.store.tables import job, log_segment
from deb_orchestrator.store.tables_domain import build_arch
from debcore.errors import Failure
from debcore.hub import model
from debcore.job import Result, Status

#: Bytes of one piece of log, and of the live copy of one attempt's log; the whole log comes as a file at the end.
MAX_PIECE = 1024 * 1024
MAX_LIVE_LOG = 32 * 1024 * 1024

_OUTCOMES = {
    Status.BUILT: jobs.Outcome.SUCCEEDED,
    Status.INVALID: jobs.Outcome.INVALID,
    Status.FAILED: jobs.Outcome.FAILED,
    Status.DEPS: jobs.Outcome.DEPS,
    Status.HOST: jobs.Outcome.HOST,
    Status.LIMIT: jobs.Outcome.LIMIT,
    Status.CANCELLED: jobs.Outcome.CANCELLED,
}


def beat(hub: Hub, agent: int, job_id: int, attempt: int, grant: str) -> jobs.Beat:
    """Errors: StaleAttempt."""
    with hub.db.write() as db:
        return statements.beat(db, job_id, attempt, grant, agent=agent, policy=hub.policy)


def release(hub: Hub, agent: int, held: tuple[int, int, str], reason: str) -> None:
    """Errors: StaleAttempt."""
    with hub.db.write() as db:
        statements.release(db, *held, reason=reason, agent=agent)


def put_log(hub: Hub, agent: int, held: tuple[int, int, str], offset: int, piece: bytes) -> int:
    """Store *piece* if it follows what is there; the offset that is wanted next. *held*: job, attempt, grant.

    Errors: StaleAttempt; Failure if the piece is too large.
    """
    job_id, attempt, grant = held
    if len(piece) > MAX_PIECE:
        raise Failure(f"a piece of log has at most {MAX_PIECE} bytes")
    with hub.db.write() as db:
        statements.beat(db, job_id, attempt, grant, agent=agent, policy=hub.policy)
        size = live_log_size(db, job_id, attempt)
        new = piece[size - offset :] if offset <= size else b""
        if new and size < MAX_LIVE_LOG:
            values = {"job_id": job_id, "attempt": attempt, "start": size, "size": len(new), "data": new}
            db.execute(insert(log_segment).values(**values))
            return size + len(new)
        # Past the cap the agent is told that all came: the rest is in the whole log.
        return offset + len(piece) if size >= MAX_LIVE_LOG else size


def live_log_size(db: Connection, job_id: int, attempt: int) -> int:
    """Bytes of the live copy."""
    ends = select(func.max(log_segment.c.start + log_segment.c.size))
    found = db.execute(ends.where(log_segment.c.job_id == job_id, log_segment.c.attempt == attempt)).scalar()
    return int(found or 0)


def take_events(hub: Hub, agent: int, held: tuple[int, int, str], lines: tuple[dict[str, Any], ...]) -> None:
    """Lines of events.jsonl: environment.ready is forwarded once an attempt (message 3), all else is only a beat.

    Errors: StaleAttempt; Failure if the lock that it names was not uploaded.
    """
    job_id, attempt, grant = held
    with hub.db.write() as db:
        statements.beat(db, job_id, attempt, grant, agent=agent, policy=hub.policy)
        arch = _find_arch(db, job_id)
        if arch is None:
            return
        events = tell_requested(db, arch, attempt)
        for line in lines:
            if line.get("type") == "environment.ready" and arch.ready_attempt < attempt:
                events.append(_environment_ready(db, arch, attempt, line.get("data")))
                break
        tell(db, events) if events else None


def _environment_ready(db: Connection, arch: Row[Any], attempt: int, data: object) -> NewEvent:
    if not isinstance(data, dict) or not isinstance(data.get("lock_sha256"), str):
        raise Failure("environment.ready names no lock", hint="its data is {lock, lock_sha256, packages}")
    sha256 = data["lock_sha256"]
    if find_blob(db, sha256) is None:
        raise Failure(f"the lock {sha256[:64]} was not uploaded", hint="upload it before environment.ready")
    note_result(db, arch.id, sha256, "lock")
    values = {"ready_attempt": attempt, "lock_sha256": sha256}
    db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(**values))
    known = {key: data[key] for key in ("lock_sha256", "packages") if key in data}
    return _event(db, "environment.ready", arch, attempt, known)


def tell_requested(db: Connection, arch: Row[Any], attempt: int) -> list[NewEvent]:
    """Message 2 of an attempt that came after a lost one; the first attempt's was told when it was enqueued."""
    if arch.requested_attempt >= attempt:
        return []
    db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(requested_attempt=attempt))
    return [requested(load_builds(db, [arch.build_id])[arch.build_id], arch, arch.job_id, attempt=attempt)]


def finish(hub: Hub, agent: int, held: tuple[int, int, str], ask: model.FinishAsk) -> model.Finished:
    """Take an attempt's result, whatever the kind of its job.

    Errors: StaleAttempt, ResultConflict; Failure if the result is invalid or names files that were not uploaded.
    """
    with hub.db.read() as db:
        kind = db.execute(select(job.c.kind).where(job.c.id == held[0])).scalar_one_or_none()
    if kind == "build":
        return _finish_build(hub, agent, held, ask)
    if kind == "check":
        return _finish_check(hub, agent, held, ask)
    if kind == "task":
        return _finish_task(hub, agent, held, ask)
    if kind == "sign":
        return _finish_sign(hub, agent, held, ask)
    raise Denied(f"jobs of kind {kind} are not for agents")


def _finish_build(hub: Hub, agent: int, held: tuple[int, int, str], ask: model.FinishAsk) -> model.Finished:
    result = _read_result(ask.result, held)
    job_id, attempt, grant = held
    with hub.db.write() as db:
        check_blobs(db, hub.blobs, [(output.path, output.sha256, output.size) for output in result.outputs])
        reason = result.failure.message if result.failure else ""
        arch = _find_arch(db, job_id)
        waits_for = find_tokens(db, _find_suite(db, arch), job_id, attempt, result) if arch is not None else []
        done = statements.finish(
            db, job_id, attempt, grant, _OUTCOMES[result.status], ask.result, ask.hash,
            reason=reason, waits_for=waits_for, agent=agent, policy=hub.policy,
        )  # fmt: skip
        if not done.replayed and arch is None:
            tell(db, judged(db, agent, done, reason))
        if arch is not None and not done.replayed:
            if done.state == jobs.State.BLOCKED:
                catch_up(db, _find_suite(db, arch), job_id)
            tell(db, _build_finished(db, arch, result, done, reason) + judged(db, agent, done, reason))
    return model.Finished(accepted=True, state=done.state.value)


def _finish_check(hub: Hub, agent: int, held: tuple[int, int, str], ask: model.FinishAsk) -> model.Finished:
    result = _read_result(ask.result, held)
    with hub.db.write() as db:
        check_blobs(db, hub.blobs, [(output.path, output.sha256, output.size) for output in result.outputs])
    done = checks.finish_check(hub, agent, held, result, _OUTCOMES[result.status], ask.hash)
    return model.Finished(accepted=True, state=done.state.value)


def _finish_task(hub: Hub, agent: int, held: tuple[int, int, str], ask: model.FinishAsk) -> model.Finished:
    """Dependencies that cannot be met fail it: no build of ours would bring them."""
    result = _read_result(ask.result, held)
    reason = result.failure.message if result.failure else ""
    with hub.db.write() as db:
        check_blobs(db, hub.blobs, [(output.path, output.sha256, output.size) for output in result.outputs])
        done = statements.finish(
            db, *held, _OUTCOMES[result.status], ask.result, ask.hash,
            reason=reason, waits_for=None, agent=agent, policy=hub.policy,
        )  # fmt: skip
        if not done.replayed:
            tell(db, judged(db, agent, done, reason))
    return model.Finished(accepted=True, state=done.state.value)


def _build_finished(db: Connection, arch: Row[Any], result: Result, done: jobs.Finished, reason: str) -> list[NewEvent]:
    logs = [output.sha256 for output in result.outputs if output.kind == "log"]
    events = tell_requested(db, arch, done.attempt)
    over = log_segment.c.job_id == done.job, log_segment.c.attempt <= done.attempt
    if logs:
        db.execute(delete(log_segment).where(*over))
    note_results(db, arch.id, result)
    values = {"result": result.model_dump(mode="json"), "log_sha256": logs[0] if logs else None}
    db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(**values))
    outputs = [output.model_dump(mode="json") for output in result.outputs]
    data = {
        "status": result.status.value, "reason": reason, "outputs": outputs, "log_sha256": values["log_sha256"],
        "lock_sha256": result.lock_sha256, "job_state": done.state.value,
    }  # fmt: skip
    events.append(_event(db, "build.complete", arch, done.attempt, data))
    if done.state == jobs.State.SUCCEEDED:
        spec = {"build_arch": arch.id, "attempt": done.attempt}
        requires = jobs.Requirement(pool=HUB_POOL)
        key = f"import:{done.job}:{done.attempt}"
        new = jobs.NewJob(kind="import", spec=spec, requires=requires, key=key, parent_id=done.job, priority=60)
        statements.enqueue(db, new)
        return events
    hint(db, PROGRESS)
    return events


def _finish_sign(hub: Hub, agent: int, held: tuple[int, int, str], ask: model.FinishAsk) -> model.Finished:
    outcome, reason = publish.sign_outcome(ask.result)
    with hub.db.write() as db:
        done = statements.finish(
            db, *held, outcome, ask.result, ask.hash, reason=reason, agent=agent, policy=hub.policy
        )
    publish.accept_answer(hub.db, hub.blobs, held[0])
    for ended in done.settled.ended:
        publish.accept_answer(hub.db, hub.blobs, ended)
    return model.Finished(accepted=True, state=done.state.value)


def _find_suite(db: Connection, arch: Row[Any]) -> str:
    """That the build sees."""
    return str(load_builds(db, [arch.build_id])[arch.build_id].row.build_suite)


def judged(db: Connection, agent: int, done: jobs.Finished, reason: str) -> list[NewEvent]:
    """What became of the builder with the end of an attempt."""
    if not done.builder:
        return []
    name = db.execute(select(agent_table.c.name).where(agent_table.c.id == agent)).scalar_one()
    return [NewEvent(type=f"agent.{done.builder}", data={"agent": name, "reason": reason}, job=done.job)]


def _read_result(result: dict[str, Any], held: tuple[int, int, str]) -> Result:
    try:
        read = Result.model_validate(result)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Failure(f"the result is invalid: {where}: {first['msg']}", hint="see schemas/result.json") from error
    if (read.job, read.attempt) != (str(held[0]), held[1]):
        raise Failure(
            f"the result is of job {read.job[:64]}, attempt {read.attempt}, and not of {held[0]}, attempt {held[1]}",
            hint="a result names the attempt that made it",
        )
    if not _is_text(result):
        raise Failure("the result has text that is none: a NUL, or half a character", hint="replace it by U+FFFD")
    paths = [output.path for output in read.outputs]
    if len(set(paths)) != len(paths):
        raise Failure("the result names a file twice", hint="each output has a path of its own")
    return read


def _is_text(value: object) -> bool:
    """Whether both databases can store every string in a JSON document."""
    if isinstance(value, str):
        return not any(one == "\0" or "\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(one) for key, one in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True


def _find_arch(db: Connection, job_id: int) -> Row[Any] | None:
    return db.execute(select(build_arch).where(build_arch.c.job_id == job_id).with_for_update()).one_or_none()


def _event(db: Connection, type_: str, arch: Row[Any], attempt: int, data: dict[str, Any]) -> NewEvent:
    facts = load_builds(db, [arch.build_id])[arch.build_id]
    return NewEvent(
        type=type_, data=data, request=facts.row.request, build=arch.build_id, arch=arch.arch, attempt=attempt,
        job=arch.job_id,
    )  # fmt: skip
