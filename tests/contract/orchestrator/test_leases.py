"""Claim, beat, finish: who may act on a job. The numbers are the invariants of docs/explanation/leases.md."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from deb_orchestrator.dispatch.moves import lock_job, move
from deb_orchestrator.domain.jobs import (
    TRANSITIONS,
    Held,
    LostRace,
    Outcome,
    ResultConflict,
    StaleAttempt,
    State,
    UnknownAgent,
)
from deb_orchestrator.store import tables as t
from tests.contract.orchestrator.world import World, check_log


def test_a_job_runs_and_succeeds(world: World) -> None:
    job = world.enqueue(spec={"dsc": "hello"}, request_id="r", build_id=7, arch="amd64")
    claimed = world.must_claim(world.add_agent())
    assert (claimed.job, claimed.attempt, claimed.spec) == (job, 1, {"dsc": "hello"})
    assert (claimed.request_id, claimed.build_id, claimed.arch) == ("r", 7, "amd64")
    assert world.beat(claimed) is False
    finished = world.finish(claimed)
    assert (finished.state, finished.outcome, finished.replayed) == (State.SUCCEEDED, Outcome.SUCCEEDED, False)
    row = world.job(job)
    assert (row.state, row.result, row.result_hash) == ("succeeded", {"hash": "r1"}, "r1")
    assert world.log(job) == ["enqueued", "claimed", "succeeded"]


def test_nothing_to_do_is_no_job(world: World) -> None:
    assert world.claim(world.add_agent()) is None


@pytest.mark.parametrize("state", ["pending", "revoked"])
def test_only_an_approved_agent_claims(world: World, state: str) -> None:
    world.enqueue()
    with pytest.raises(UnknownAgent):
        world.claim(world.add_agent(state))


def test_a_paused_agent_gets_no_new_work_but_finishes_what_it_has(world: World) -> None:
    world.enqueue()
    world.enqueue()
    agent = world.add_agent()
    claimed = world.must_claim(agent)
    world.set_agent(agent, paused_reason="disk check")
    assert world.claim(agent) is None
    assert world.finish(claimed).state is State.SUCCEEDED


def test_i2_each_claim_raises_the_attempt_and_the_older_one_is_refused(world: World) -> None:
    job = world.enqueue()
    first = world.must_claim(world.add_agent())
    world.lose_lease(first)
    second = world.must_claim(world.add_agent())
    assert (second.job, second.attempt) == (job, 2)
    for act in (world.beat, world.finish, world.release):
        with pytest.raises(StaleAttempt):
            act(first)
    assert world.finish(second).state is State.SUCCEEDED
    assert world.log(job) == ["enqueued", "claimed", "lease-lost", "claimed", "succeeded"]


def test_i1_a_job_that_ended_never_moves_again(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.finish(claimed)
    before = world.job(job)
    for act in (world.beat, world.release):
        with pytest.raises(StaleAttempt):
            act(claimed)
    assert world.cancel(job).changed is False
    world.clock.advance(100)
    world.reap()
    assert world.job(job) == before


def test_i4_a_grant_is_bound_to_its_job_attempt_and_agent(world: World) -> None:
    world.enqueue()
    world.enqueue()
    one, other = world.add_agent(), world.add_agent()
    first, second = world.must_claim(one), world.must_claim(other)
    forged = (
        dataclasses.replace(first, grant=second.grant),
        dataclasses.replace(first, grant=""),
        dataclasses.replace(first, attempt=2),
        dataclasses.replace(first, attempt=0),
    )
    for claimed in forged:
        for act in (world.beat, world.finish, world.release):
            with pytest.raises(StaleAttempt):
                act(claimed)
    with pytest.raises(StaleAttempt):
        world.beat(first, agent=other)
    with pytest.raises(StaleAttempt):
        world.finish(first, agent=other)
    assert world.finish(first, agent=one).state is State.SUCCEEDED


def test_i4_a_revoked_agents_grant_is_over(world: World) -> None:
    job = world.enqueue()
    agent = world.add_agent()
    claimed = world.must_claim(agent)
    world.set_agent(agent, state="revoked")
    for act in (world.beat, world.finish, world.release):
        with pytest.raises(StaleAttempt):
            act(claimed)
    world.lose_lease(claimed)
    assert world.must_claim(world.add_agent()).job == job


def test_i5_finishing_again_gets_the_stored_answer(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    first = world.finish(claimed, reason="fine")
    log = world.log(job)
    again = world.finish(claimed, reason="fine")
    assert again == dataclasses.replace(first, replayed=True)
    assert world.log(job) == log


def test_i5_another_result_of_the_same_attempt_is_a_conflict(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.finish(claimed)
    with pytest.raises(ResultConflict):
        world.finish(claimed, result_hash="r2")
    assert world.job(job).result_hash == "r1"


def test_i5_the_stored_answer_outlives_the_attempt(world: World) -> None:
    """The reply of a host fault was lost; meanwhile another builder has the job."""
    world.enqueue()
    first = world.must_claim(world.add_agent())
    world.finish(first, Outcome.HOST)
    world.must_claim(world.add_agent())
    again = world.finish(first, Outcome.HOST)
    assert (again.replayed, again.state) == (True, State.QUEUED)
    with pytest.raises(ResultConflict):
        world.finish(first, Outcome.SUCCEEDED, "r2")


def test_i6_a_repeated_claim_gets_the_same_answer(world: World) -> None:
    world.enqueue()
    world.enqueue()
    agent = world.add_agent()
    first = world.must_claim(agent, "c1")
    assert world.must_claim(agent, "c1") == first
    assert world.must_claim(agent, "c2").job != first.job
    assert world.beat(first) is False


def test_i6_a_repeated_claim_renews_the_lease_or_resumes(world: World) -> None:
    job = world.enqueue()
    agent = world.add_agent()
    first = world.must_claim(agent, "c1")
    world.lose_lease(first)
    assert world.state(job) is State.QUEUED
    assert world.must_claim(agent, "c1") == first
    assert world.state(job) is State.RUNNING


def test_i6_the_claim_id_of_an_attempt_that_is_over_takes_nothing(world: World) -> None:
    world.enqueue()
    other = world.enqueue()
    agent = world.add_agent()
    world.finish(world.must_claim(agent, "c1"))
    with pytest.raises(StaleAttempt):
        world.claim(agent, "c1")
    assert world.state(other) is State.QUEUED


def test_i6_two_agents_may_use_the_same_claim_id(world: World) -> None:
    world.enqueue()
    world.enqueue()
    first, second = world.must_claim(world.add_agent(), "c"), world.must_claim(world.add_agent(), "c")
    assert first.job != second.job
    assert first.grant != second.grant


@pytest.mark.parametrize("how", ["beat", "finish"])
def test_i7_a_lost_lease_resumes_while_nobody_claimed_the_job(world: World, how: str) -> None:
    job = world.enqueue(max_attempts=2)
    claimed = world.must_claim(world.add_agent())
    for _ in range(3):  # each resumption forgives the loss, so attempts do not run out
        world.lose_lease(claimed)
        assert world.state(job) is State.QUEUED
        world.beat(claimed)
        assert world.state(job) is State.RUNNING
    if how == "finish":
        world.lose_lease(claimed)
    assert world.finish(claimed).state is State.SUCCEEDED
    assert world.job(job).attempt == 1


def test_i7_what_was_given_back_or_ended_with_a_fault_does_not_resume(world: World) -> None:
    for end in (world.release, lambda c: world.finish(c, Outcome.HOST)):
        job = world.enqueue()
        claimed = world.must_claim(world.add_agent())
        end(claimed)
        assert world.state(job) is State.QUEUED
        with pytest.raises(StaleAttempt):
            world.beat(claimed)
        world.cancel(job)


def test_i8_a_restarted_agent_costs_nothing(world: World) -> None:
    kept, lost = world.enqueue(), world.enqueue()
    agent = world.add_agent()
    one, two = world.must_claim(agent, boot="b1"), world.must_claim(agent, boot="b1")
    # The new boot adopts one attempt; it gets the other back at once, as a new attempt.
    three = world.must_claim(agent, boot="b2", held=(Held(one.job, one.attempt),))
    assert (three.job, three.attempt) == (lost, 2)
    assert world.state(kept) is State.RUNNING
    assert world.finish(one).state is State.SUCCEEDED
    with pytest.raises(StaleAttempt):
        world.finish(two)


def test_i8_late_claims_of_an_older_boot_release_nothing(world: World) -> None:
    world.enqueue()
    agent = world.add_agent()
    assert world.claim(agent, boot="b0") is not None
    claimed = world.must_claim(agent, "c1", boot="b1")
    assert world.claim(agent, boot="b0") is None
    assert world.must_claim(agent, "c1", boot="b1") == claimed
    assert world.log(claimed.job).count("lease-lost") == 1


def test_i8_a_restart_leaves_the_end_of_a_job_to_the_reaper(world: World) -> None:
    """Whoever ends a job tells the world; a claim has no way to."""
    job = world.enqueue(max_attempts=1)
    agent = world.add_agent()
    world.must_claim(agent, boot="b1")
    assert world.claim(agent, boot="b2") is None
    world.clock.advance(1)
    assert world.reap().failed == (job,)
    assert world.job(job).outcome == "lost"


def test_i14_the_log_of_a_job_is_a_path_through_the_table(world: World) -> None:
    job = world.enqueue()
    first = world.must_claim(world.add_agent())
    world.lose_lease(first)
    world.beat(first)
    world.finish(first, Outcome.DEPS)
    world.release_waiting("anything")
    world.finish(world.must_claim(world.add_agent()), Outcome.HOST)
    world.release(world.must_claim(world.add_agent()))
    last = world.must_claim(world.add_agent())
    world.cancel(job)
    world.finish(last)
    check_log(world, job)
    assert world.log(job)[-2:] == ["cancel-asked", "cancelled"]


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("state", State)
def test_i16_a_transition_starts_from_its_sources_only(world: World, state: State, transition: object) -> None:
    job = make_job_in(world, state)
    with world.database.read() as db:
        row = db.execute(select(t.job).where(t.job.c.id == job)).one()
    chosen = next(one for one in TRANSITIONS if one is transition)
    values = {"lease_until": world.clock.at} if chosen.target is State.RUNNING else {}
    log = world.log(job)
    if state in chosen.sources:
        with world.database.write() as db:
            move(db, row, chosen, at=world.clock.at, values=values)
        assert world.state(job) is chosen.target
        assert world.log(job) == [*log, chosen.name]
    else:
        with pytest.raises(LostRace), world.database.write() as db:
            move(db, row, chosen, at=world.clock.at, values=values)
        assert world.log(job) == log


def test_i16_a_lost_race_is_an_error_and_changes_nothing(world: World) -> None:
    job = world.enqueue()
    with world.database.write() as db:
        row = lock_job(db, job)
    claimed = world.must_claim(world.add_agent())
    cancelled = next(one for one in TRANSITIONS if one.name == "cancelled")
    with pytest.raises(LostRace), world.database.write() as db:
        move(db, row, cancelled, at=world.clock.at)
    assert world.finish(claimed).state is State.SUCCEEDED


def test_i16_an_older_attempt_in_the_same_state_is_a_lost_race_too(world: World) -> None:
    job = world.enqueue()
    first = world.must_claim(world.add_agent())
    old = world.job(job)
    world.release(first)
    second = world.must_claim(world.add_agent())
    succeeded = next(one for one in TRANSITIONS if one.name == "succeeded")
    with pytest.raises(LostRace), world.database.write() as db:
        move(db, old, succeeded, at=world.clock.at)
    assert world.beat(second) is False


def make_job_in(world: World, state: State) -> int:
    """A job that came into *state* by the statements alone."""
    if state is State.BLOCKED:
        return world.enqueue(depends_on=(world.enqueue(),))
    job = world.enqueue()
    if state in {State.RUNNING, State.SUCCEEDED, State.FAILED}:
        claimed = world.must_claim(world.add_agent())
        if state is not State.RUNNING:
            world.finish(claimed, Outcome.SUCCEEDED if state is State.SUCCEEDED else Outcome.FAILED)
    if state is State.CANCELLED:
        world.cancel(job)
    return job


def test_i17_the_database_holds_no_secret_of_an_attempt(world: World) -> None:
    world.enqueue()
    claimed = world.must_claim(world.add_agent(), "the-claim-id")
    with world.database.read() as db:
        stored = [repr(db.execute(select(table)).all()) for table in (t.job, t.job_attempt, t.job_log, t.agent)]
    assert not any(claimed.grant in rows or "the-claim-id" in rows for rows in stored)
    assert claimed.grant not in repr(claimed)
