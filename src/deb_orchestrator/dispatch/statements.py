"""The protocol of leases: enqueue, claim, beat, finish, release, reap, cancel. Nothing else moves a job.

Each takes the connection of one write transaction (`Database.write`); callers add their own rows to it and append
domain events last. A refusal is a `JobError` and must roll the transaction back.
docs/explanation/leases.md holds the invariants and names the test of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, select, update

from deb_orchestrator.dispatch.attempts import (
    answer_claim,
    as_ms,
    exclude,
    find_attempt,
    load_record,
    lock_current,
    lose,
    replay_finish,
    run_again,
)
from deb_orchestrator.dispatch.blame import COLUMNS as BLAME
from deb_orchestrator.dispatch.blame import judge_builder, read_standing
from deb_orchestrator.dispatch.classes import intern_class
from deb_orchestrator.dispatch.gaps import correct_times
from deb_orchestrator.dispatch.grants import derive_grant, hash_secret, make_salt
from deb_orchestrator.dispatch.moves import (
    agent_topic,
    class_topic,
    end_attempt,
    end_dependent,
    lock_job,
    log_transition,
    move,
    settle,
)
from deb_orchestrator.dispatch.queue import find_heads, lock_head
from deb_orchestrator.dispatch.tokens import ANY, add_waits
from deb_orchestrator.dispatch.turns import find_rank, join_turns, take_turn
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.ends import choose_end
from deb_orchestrator.domain.hosts import Standing, is_canary_time
from deb_orchestrator.domain.jobs import (
    POLICY,
    REPORTED,
    Beat,
    Cancelled,
    Claimed,
    Finished,
    Held,
    KeyConflict,
    NewJob,
    Outcome,
    Policy,
    Reaped,
    Released,
    Settled,
    State,
    UnknownAgent,
    UnknownJob,
)
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import hint, insert_new
from debcore.trace import TRACE

# enqueue


def enqueue(db: Connection, new: NewJob, *, policy: Policy = POLICY) -> int:
    """Add a job and return its id; with a known `key`, return that job's id and add nothing.

    It starts blocked if a dependency has yet to succeed or it waits for tokens (never both), and ends at once if a
    dependency already failed. Errors: UnknownJob (a dependency), KeyConflict (same key, other kind or spec).
    """
    if new.waits_for and new.depends_on:
        raise ValueError("a job waits for jobs or for tokens")
    at = now(db)
    needs = _find_dependencies(db, new.depends_on)
    unmet = sum(state is not State.SUCCEEDED for state in needs.values())
    state = State.BLOCKED if unmet or new.waits_for else State.QUEUED
    class_id = intern_class(db, new.requires)
    values = {
        "kind": new.kind,
        "state": state.value,
        "class_id": class_id,
        "priority": new.priority,
        "rank": find_rank(at, new.priority, policy),
        "owner": new.owner,
        "spec": new.spec,
        "key": new.key,
        "unmet": unmet,
        "max_attempts": new.max_attempts,
        "parent_id": new.parent_id,
        "request_id": new.request_id,
        "build_id": new.build_id,
        "arch": new.arch,
        "trace": new.trace or TRACE.get() or None,
        "created_at": at,
        "changed_at": at,
    }
    join_turns(db, class_id, new.owner, at=at)
    made = db.execute(insert_new(db, t.job).values(values).returning(t.job.c.id)).scalar_one_or_none()
    if made is None:
        return _find_keyed(db, new)
    if needs:
        db.execute(insert(t.job_dependency), [{"job_id": made, "needs_id": need} for need in needs])
    add_waits(db, made, new.waits_for)
    log_transition(db, made, 0, "enqueued", None, state, at=at)
    if state is State.QUEUED:
        hint(db, class_topic(class_id))
    for need, how in needs.items():
        if how in {State.FAILED, State.CANCELLED}:
            end_dependent(db, lock_job(db, made), need, how, at=at)
            break
    return int(made)


def _find_dependencies(db: Connection, depends_on: Sequence[int]) -> dict[int, State]:
    """States of the dependencies, which cannot change before our commit (FOR SHARE)."""
    needs = sorted(set(depends_on))
    if not needs:
        return {}
    query = select(t.job.c.id, t.job.c.state).where(t.job.c.id.in_(needs)).order_by(t.job.c.id)
    found = {row.id: State(row.state) for row in db.execute(query.with_for_update(read=True))}
    if missing := [need for need in needs if need not in found]:
        raise UnknownJob(f"there is no job {missing[0]} to depend on", hint="enqueue first what others need")
    return found


def _find_keyed(db: Connection, new: NewJob) -> int:
    row = db.execute(select(t.job.c.id, t.job.c.kind, t.job.c.spec).where(t.job.c.key == new.key)).one()
    if (row.kind, row.spec) != (new.kind, new.spec):
        raise KeyConflict(f"the key {new.key!r} belongs to job {row.id}, which is another", hint="use a new key")
    return int(row.id)


# claim


def claim(
    db: Connection,
    agent: int,
    claim_id: str,
    classes: Sequence[int],
    boot_id: str,
    held: Sequence[Held] = (),
    *,
    policy: Policy = POLICY,
) -> Claimed | None:
    """Give *agent* the next job of *classes* (`dispatch.classes.find_classes`): dispatch/turns.py says which that is.

    *claim_id* is a random string of the agent's, kept until it is answered with a job: asking again gives the same
    answer. The first claim of a *boot_id* gives back all attempts of the agent that are not in *held*.
    Errors: UnknownAgent; StaleAttempt if the claim id's attempt is over (make a new id).
    """
    at = now(db)
    # The row's lock serialises the claims of one agent: two copies of one claim cannot take two jobs.
    seen = db.execute(
        update(t.agent)
        .where(t.agent.c.id == agent, t.agent.c.state == "approved")
        .values(seen_at=at)
        .returning(t.agent.c.paused_reason, *BLAME)
    ).one_or_none()
    if seen is None:
        raise UnknownAgent(f"agent {agent} may not claim", hint="enrol it and have it approved")
    attempt = t.job_attempt
    before = db.execute(
        select(attempt).where(attempt.c.agent_id == agent, attempt.c.claim_hash == hash_secret(claim_id))
    ).one_or_none()
    kept = {(one.job, one.attempt) for one in held} | ({(before.job_id, before.attempt)} if before else set())
    _release_older_boots(db, agent, boot_id, kept, at=at, policy=policy)
    if before is not None:
        return _repeat_claim(db, before, claim_id, policy)
    if seen.paused_reason is not None or not _may_work(db, agent, read_standing(seen), at=at):
        return None
    for turn in find_heads(db, agent, classes, at=at, policy=policy):
        row = lock_head(db, agent, turn.class_id, turn.owner, at=at)
        if row is not None:
            take_turn(db, turn, at=at, policy=policy)
            return _take(db, row, agent, claim_id, boot_id, at=at, policy=policy)
    return None


def _take(
    db: Connection, row: Row[Any], agent: int, claim_id: str, boot_id: str, *, at: int, policy: Policy
) -> Claimed:
    salt = make_salt()
    grant = derive_grant(claim_id, salt)
    end_attempt(db, row.id, row.attempt, at=at, outcome=Outcome.LOST)  # superseded, if it was still open
    fresh = {"attempt": row.attempt + 1, "agent_id": agent, "grant_hash": hash_secret(grant)}
    lease = {"lease_until": at + as_ms(policy.lease_s), "outcome": None, "reason": None}
    move(db, row, jobs.CLAIMED, at=at, agent=agent, values=fresh | lease)
    db.execute(
        insert(t.job_attempt).values(
            job_id=row.id,
            boot_id=boot_id,
            claim_hash=hash_secret(claim_id),
            grant_salt=salt,
            claimed_at=at,
            **fresh,
        )
    )
    return replace(answer_claim(row, row.attempt + 1, grant, policy), waited_s=(at - row.changed_at) / 1000)


def _may_work(db: Connection, agent: int, standing: Standing, *, at: int) -> bool:
    if not standing.is_suspect:
        return True
    running = select(t.job.c.id).where(t.job.c.agent_id == agent, t.job.c.state == State.RUNNING.value)
    return is_canary_time(standing, at=at, running=len(db.execute(running.limit(1)).all()))


def _repeat_claim(db: Connection, before: Row[Any], claim_id: str, policy: Policy) -> Claimed:
    grant = derive_grant(claim_id, before.grant_salt)
    beat(db, before.job_id, before.attempt, grant, policy=policy)
    return answer_claim(lock_job(db, before.job_id), before.attempt, grant, policy)


def _release_older_boots(
    db: Connection, agent: int, boot_id: str, kept: set[tuple[int, int]], *, at: int, policy: Policy
) -> None:
    """Take back at once what older boots held. Only a boot never seen before does so: old messages come late."""
    first = insert_new(db, t.agent_boot).values(agent_id=agent, boot_id=boot_id, seen_at=at)
    if db.execute(first.returning(t.agent_boot.c.boot_id)).one_or_none() is None:
        return
    running = select(t.job).where(t.job.c.agent_id == agent, t.job.c.state == State.RUNNING.value)
    for row in db.execute(running.order_by(t.job.c.id).with_for_update()).all():
        if (row.id, row.attempt) not in kept:
            lose(db, row, "the agent restarted without it", at=at, policy=policy, may_end=False)


# beat


def beat(
    db: Connection, job: int, attempt: int, grant: str, *, agent: int | None = None, policy: Policy = POLICY
) -> Beat:
    """Renew the lease; a job that went back to the queue and was not claimed since is running again.

    Errors: StaleAttempt: stop the work.
    """
    at = now(db)
    approved = exists().where(t.agent.c.id == t.job.c.agent_id, t.agent.c.state == "approved")
    renewed = db.execute(
        update(t.job)
        .where(t.job.c.id == job, t.job.c.attempt == attempt, t.job.c.grant_hash == hash_secret(grant))
        .where(t.job.c.state == State.RUNNING.value, approved, *_is_agent(agent))
        .values(lease_until=at + as_ms(policy.lease_s))
        .returning(t.job.c.cancel_asked_at, t.job.c.room_asked_at)
    ).one_or_none()
    if renewed is not None:
        make_room = renewed.room_asked_at is not None
        return Beat(cancel=renewed.cancel_asked_at is not None, lease_s=policy.lease_s, make_room=make_room)
    row = run_again(db, lock_current(db, job, attempt, grant, agent), policy=policy)
    return Beat(cancel=row.cancel_asked_at is not None, lease_s=policy.lease_s)


# finish and release


def finish(
    db: Connection,
    job: int,
    attempt: int,
    grant: str,
    outcome: Outcome,
    result: dict[str, Any],
    result_hash: str,
    *,
    reason: str = "",
    waits_for: Sequence[str] | None = (ANY,),
    agent: int | None = None,
    policy: Policy = POLICY,
) -> Finished:
    """End the attempt with its result. The same attempt with the same hash gets the stored answer again.

    *waits_for*: what Outcome.DEPS waits for (tokens of `release_waiting`); None: it fails instead of waiting.
    A job whose cancel was asked for ends cancelled, whatever the outcome.
    Errors: StaleAttempt; ResultConflict if the attempt has another result.
    """
    if outcome not in REPORTED:
        raise ValueError(f"no agent reports {outcome}")
    row = lock_job(db, job)
    tried = find_attempt(db, row, attempt, grant, agent)
    if tried.result_hash is not None:
        return replay_finish(tried, result_hash)
    row = run_again(db, lock_current(db, job, attempt, grant, agent), policy=policy)
    at = now(db)
    if outcome is Outcome.HOST:
        exclude(db, row, at=at, policy=policy)
    end = choose_end(outcome, load_record(db, row, waits=waits_for is not None), policy)
    target = end.transition.target
    values: dict[str, Any] = {"outcome": end.outcome.value, "reason": reason, "grant_hash": None}
    values["losses"] = row.losses + end.loses
    if target.is_terminal:
        values |= {"result": result, "result_hash": result_hash}
    move(db, row, end.transition, at=at, reason=reason, agent=row.agent_id, values=values)
    if target is State.BLOCKED:
        add_waits(db, job, waits_for or (ANY,))
    reply = {"state": target.value, "outcome": end.outcome.value, "reason": reason}
    end_attempt(db, job, attempt, at=at, outcome=outcome, result_hash=result_hash, reply=reply)
    builder = judge_builder(db, row, end.outcome, at=at, policy=policy, reason=reason)
    settled = settle(db, job, target, at=at) if target.is_terminal else Settled()
    return Finished(
        job=job, attempt=attempt, state=target, outcome=end.outcome, reason=reason, settled=settled, builder=builder
    )


def release(db: Connection, job: int, attempt: int, grant: str, *, reason: str, agent: int | None = None) -> Released:
    """Give an attempt back unfinished and without blame (the agent drains). Errors: StaleAttempt."""
    row = lock_current(db, job, attempt, grant, agent)
    at = now(db)
    end_attempt(db, job, attempt, at=at, outcome=None)
    if row.state == State.QUEUED:  # the lease was lost before; only the right to resume ends
        db.execute(update(t.job).where(t.job.c.id == job).values(grant_hash=None))
        return Released(state=State.QUEUED)
    asked = row.cancel_asked_at is not None
    transition = jobs.CANCELLED if asked else jobs.GIVEN_BACK
    values = {"grant_hash": None, "outcome": Outcome.CANCELLED.value if asked else None, "reason": reason}
    move(db, row, transition, at=at, reason=reason, agent=row.agent_id, values=values)
    settled = settle(db, job, State.CANCELLED, at=at) if asked else Settled()
    return Released(state=transition.target, settled=settled)


# reap


def reap(db: Connection, *, policy: Policy = POLICY, limit: int = 200) -> Reaped:
    """Say that a hub is alive, and take back what lost its lease. Every hub calls it before it serves, then each 5 s.

    If no hub was alive for longer than `policy.gap_s`, running leases are first extended by that gap, once.
    """
    # This lock serialises the reapers, so that of two hubs that start together only one sees the gap.
    beat_at = db.execute(select(t.hub_heartbeat.c.beat_at).with_for_update()).scalar_one()
    at = now(db)
    gap = at - beat_at
    correct_times(db, gap, at=at, policy=policy)
    db.execute(update(t.hub_heartbeat).values(beat_at=at))
    expired = select(t.job).where(t.job.c.state == State.RUNNING.value, t.job.c.lease_until < at)
    rows = db.execute(expired.order_by(t.job.c.id).limit(limit).with_for_update(skip_locked=True)).all()
    moved: dict[State, list[int]] = {State.QUEUED: [], State.FAILED: [], State.CANCELLED: []}
    unblocked: list[int] = []
    ended: list[int] = []
    for row in rows:
        target, settled = lose(db, row, "the lease ran out", at=at, policy=policy)
        moved[target].append(row.id)
        unblocked += settled.unblocked
        ended += settled.ended
    return Reaped(
        requeued=tuple(moved[State.QUEUED]),
        failed=tuple(moved[State.FAILED]),
        cancelled=tuple(moved[State.CANCELLED]),
        gap_s=gap / 1000 if gap > as_ms(policy.gap_s) else 0.0,
        settled=Settled(unblocked=tuple(unblocked), ended=tuple(ended)),
    )


# cancel


def cancel(db: Connection, job: int, *, reason: str) -> Cancelled:
    """Cancel at once what does not run; ask the agent (by its next beat) to stop what does. Errors: UnknownJob."""
    row = lock_job(db, job)
    state = State(row.state)
    if state.is_terminal or row.cancel_asked_at is not None:
        return Cancelled(state=state, changed=False)
    at = now(db)
    asked = {"cancel_asked_at": at, "cancel_reason": reason}
    if state is State.RUNNING:
        move(db, row, jobs.CANCEL_ASKED, at=at, reason=reason, values=asked)
        hint(db, agent_topic(row.agent_id))
        return Cancelled(state=state, changed=True)
    values = asked | {"outcome": Outcome.CANCELLED.value, "reason": reason}
    move(db, row, jobs.CANCELLED, at=at, reason=reason, values=values)
    end_attempt(db, job, row.attempt, at=at, outcome=Outcome.LOST)
    return Cancelled(state=State.CANCELLED, changed=True, settled=settle(db, job, State.CANCELLED, at=at))


def _is_agent(agent: int | None) -> list[Any]:
    return [] if agent is None else [t.job.c.agent_id == agent]
