"""Dependencies, outcomes, cancel, the reaper and choosing. The numbers are those of docs/explanation/leases.md."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from deb_orchestrator.dispatch.classes import find_classes, intern_class
from deb_orchestrator.dispatch.statements import claim
from deb_orchestrator.domain.jobs import (
    KeyConflict,
    Offer,
    Outcome,
    Requirement,
    State,
    UnknownJob,
)
from tests.contract.orchestrator.world import World, check_log


def test_i9_a_job_waits_until_all_its_dependencies_succeeded(world: World) -> None:
    first, second = world.enqueue(), world.enqueue()
    last = world.enqueue(depends_on=(first, second, second))
    agent = world.add_agent()
    one, two = world.must_claim(agent), world.must_claim(agent)
    assert world.claim(agent) is None
    assert world.finish(one).settled.unblocked == ()
    assert world.state(last) is State.BLOCKED
    assert world.finish(two).settled.unblocked == (last,)
    assert world.must_claim(agent).job == last


def test_i9_dependencies_that_already_succeeded_count(world: World) -> None:
    first = world.enqueue()
    world.finish(world.must_claim(world.add_agent()))
    assert world.state(world.enqueue(depends_on=(first,))) is State.QUEUED


def test_i9_a_failed_dependency_ends_all_that_need_it(world: World) -> None:
    root, other = world.enqueue(priority=1), world.enqueue()
    left = world.enqueue(depends_on=(root,))
    right = world.enqueue(depends_on=(root, other))
    bottom = world.enqueue(depends_on=(left, right))
    finished = world.finish(world.must_claim(world.add_agent()), Outcome.FAILED, reason="does not compile")
    assert finished.settled.ended == (left, right, bottom)
    for job in finished.settled.ended:
        assert world.state(job) is State.FAILED
        assert world.job(job).outcome == "dependency"
    assert world.job(bottom).reason == f"it needs job {left}, which failed"
    assert world.state(other) is State.QUEUED
    late = world.enqueue(depends_on=(root,))
    assert (world.state(late), world.job(late).reason) == (State.FAILED, f"it needs job {root}, which failed")


def test_i9_a_cancelled_dependency_cancels_what_needs_it(world: World) -> None:
    root = world.enqueue()
    leaf = world.enqueue(depends_on=(root,))
    assert world.cancel(root).settled.ended == (leaf,)
    assert world.state(leaf) is State.CANCELLED


def test_a_dependency_must_exist(world: World) -> None:
    with pytest.raises(UnknownJob):
        world.enqueue(depends_on=(99,))


def test_a_key_makes_enqueueing_idempotent(world: World) -> None:
    job = world.enqueue(key="k", spec={"a": 1})
    assert world.enqueue(key="k", spec={"a": 1}) == job
    assert world.log(job) == ["enqueued"]
    with pytest.raises(KeyConflict):
        world.enqueue(key="k", spec={"a": 2})


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INVALID, Outcome.LIMIT])
def test_i10_the_packages_fault_is_not_retried(world: World, outcome: Outcome) -> None:
    job = world.enqueue()
    world.finish(world.must_claim(world.add_agent()), outcome, reason="no")
    row = world.job(job)
    assert (row.state, row.outcome, row.reason) == ("failed", outcome.value, "no")


def test_i10_unmet_dependencies_wait_for_exactly_what_they_need(world: World) -> None:
    job = world.enqueue()
    agent = world.add_agent()
    world.finish(world.must_claim(agent), Outcome.DEPS, waits_for=("package:libfoo-dev", "package:bar"))
    assert world.state(job) is State.BLOCKED
    assert world.claim(agent) is None
    assert world.release_waiting("package:other") == ()
    assert world.release_waiting("package:bar", "package:x") == (job,)
    assert world.release_waiting("package:libfoo-dev") == ()
    assert world.must_claim(agent).attempt == 2


def test_i10_unmet_dependencies_may_fail_instead(world: World) -> None:
    job = world.enqueue()
    world.finish(world.must_claim(world.add_agent()), Outcome.DEPS, waits_for=None)
    assert (world.state(job), world.job(job).outcome) == (State.FAILED, "deps")


def test_i10_waiting_for_nothing_named_ends_with_any_publication(world: World) -> None:
    job = world.enqueue()
    world.finish(world.must_claim(world.add_agent()), Outcome.DEPS, waits_for=())
    assert world.release_waiting("package:any") == (job,)


def test_i10_a_job_may_wait_from_the_beginning_and_for_something_else_later(world: World) -> None:
    job = world.enqueue(waits_for=("solver:trixie:amd64",))
    agent = world.add_agent()
    assert (world.state(job), world.job(job).outcome, world.claim(agent)) == (State.BLOCKED, None, None)
    assert world.wait_on(job, "package:libfoo-dev", reason="libfoo-dev is missing")
    row = world.job(job)
    assert (row.state, row.outcome, row.reason) == ("blocked", "deps", "libfoo-dev is missing")
    assert world.release_waiting("solver:trixie:amd64") == ()
    assert world.release_waiting("package:libfoo-dev") == (job,)
    assert world.must_claim(agent).attempt == 1
    assert not world.wait_on(job, "package:x"), "it does not wait any more"
    assert world.log(job) == ["enqueued", "waits-on", "unblocked", "claimed"]
    check_log(world, job)


def test_i9_what_waits_for_jobs_does_not_wait_for_tokens(world: World) -> None:
    first = world.enqueue()
    second = world.enqueue(depends_on=(first,))
    assert not world.wait_on(second, "package:x")
    with pytest.raises(ValueError, match="jobs or for tokens"):
        world.enqueue(depends_on=(first,), waits_for=("package:x",))


def test_i10_a_host_fault_goes_elsewhere(world: World) -> None:
    job = world.enqueue()
    faulty, sound = world.add_agent(), world.add_agent()
    world.finish(world.must_claim(faulty), Outcome.HOST, reason="disk")
    assert (world.state(job), world.job(job).reason) == (State.QUEUED, "disk")
    assert world.claim(faulty) is None
    assert world.must_claim(sound).job == job


def test_i10_the_only_builder_may_try_again_later_and_not_for_ever(world: World) -> None:
    job = world.enqueue(max_attempts=3)
    agent = world.add_agent()
    for pause in (60, 120):
        world.finish(world.must_claim(agent), Outcome.HOST)
        world.clock.advance(pause - 1)
        assert world.claim(agent) is None
        world.clock.advance(2)
    assert world.finish(world.must_claim(agent), Outcome.HOST).state is State.FAILED
    assert world.job(job).outcome == "host"


def test_i10_faults_on_two_builders_count_against_the_job(world: World) -> None:
    job = world.enqueue()
    world.finish(world.must_claim(world.add_agent()), Outcome.HOST)
    finished = world.finish(world.must_claim(world.add_agent()), Outcome.HOST)
    assert (finished.state, finished.outcome) == (State.FAILED, Outcome.SUSPECT)
    assert world.job(job).outcome == "suspect"


def test_i10_lost_leases_are_bounded_and_given_back_attempts_are_free(world: World) -> None:
    job = world.enqueue(max_attempts=2)
    agent = world.add_agent()
    for _ in range(4):
        world.release(world.must_claim(agent))
    world.lose_lease(world.must_claim(agent))
    last = world.must_claim(agent)
    world.lose_lease(last)
    assert (world.state(job), world.job(job).outcome, last.attempt) == (State.FAILED, "lost", 6)


def test_i11_cancel_of_what_does_not_run_is_at_once(world: World) -> None:
    queued = world.enqueue()
    blocked = world.enqueue(depends_on=(queued,))
    assert world.cancel(blocked).state is State.CANCELLED
    assert world.cancel(queued).state is State.CANCELLED
    assert world.cancel(queued).changed is False
    assert world.claim(world.add_agent()) is None


def test_i11_a_running_job_is_told_and_never_succeeds_afterwards(world: World) -> None:
    job = world.enqueue()
    leaf = world.enqueue(depends_on=(job,))
    claimed = world.must_claim(world.add_agent())
    assert world.cancel(job).state is State.RUNNING
    assert world.cancel(job).changed is False
    assert world.beat(claimed) is True
    finished = world.finish(claimed, Outcome.SUCCEEDED)
    assert (finished.state, finished.outcome) == (State.CANCELLED, Outcome.CANCELLED)
    assert finished.settled.ended == (leaf,)


def test_i11_a_cancel_that_nobody_answers_ends_with_the_lease(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.cancel(job)
    world.lose_lease(claimed)
    assert world.state(job) is State.CANCELLED


def test_i11_an_agent_that_drains_may_answer_a_cancel_too(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.cancel(job)
    assert world.release(claimed) is State.CANCELLED


def test_i11_cancelling_a_job_that_could_resume_ends_its_grant(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.lose_lease(claimed)
    assert world.cancel(job).state is State.CANCELLED
    with pytest.raises(Exception, match="is over"):
        world.beat(claimed)


def test_i12_higher_priority_first_then_the_older_job(world: World) -> None:
    jobs = [world.enqueue(priority=p, requires=r) for p, r in ((0, SMALL), (5, BIG), (5, SMALL), (9, SMALL), (0, BIG))]
    agent = world.add_agent()
    world.offer = Offer(arches=frozenset({"amd64"}), capabilities=frozenset({"big"}))
    order = [world.must_claim(agent).job for _ in jobs]
    assert order == [jobs[3], jobs[1], jobs[2], jobs[0], jobs[4]]


SMALL = Requirement()
BIG = Requirement(arch="amd64", capabilities=frozenset({"big"}))


def test_i12_an_agent_gets_only_what_it_can_do(world: World) -> None:
    for requires in (
        Requirement(pool="hub"),
        Requirement(arch="arm64"),
        Requirement(capabilities=frozenset({"big", "kvm"})),
    ):
        world.enqueue(requires=requires)
    world.offer = Offer(arches=frozenset({"amd64"}), capabilities=frozenset({"big"}))
    assert world.claim(world.add_agent()) is None
    world.offer = Offer(pools=frozenset({"hub", "default"}))
    assert world.claim(world.add_agent()) is not None


def test_i12_equal_requirements_are_one_class(world: World) -> None:
    with world.database.write() as db:
        first = intern_class(db, Requirement(capabilities=frozenset({"a", "b"})))
        assert intern_class(db, Requirement(capabilities=frozenset({"b", "a"}))) == first
        assert intern_class(db, Requirement(capabilities=frozenset({"b"}))) != first
        assert find_classes(db, Offer(capabilities=frozenset({"a", "b", "c"}))) == (first, first + 1)
        assert claim(db, world.add_agent_in(db), "c", (), "boot") is None


def test_i13_a_lease_lasts_a_minute(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    for _ in range(6):
        assert world.reap().requeued == ()
        world.clock.advance(10)
    world.beat(claimed)
    for _ in range(6):
        assert world.reap().requeued == ()
        world.clock.advance(10)
    world.clock.advance(0.001)
    assert world.reap().requeued == (job,)


def test_i13_a_gap_without_hubs_extends_leases_once(world: World) -> None:
    job = world.enqueue()
    world.must_claim(world.add_agent())
    world.clock.advance(10)
    world.reap()
    world.clock.advance(3600)  # no hub is alive
    assert world.reap().gap_s == 3600
    assert world.reap().gap_s == 0
    assert world.state(job) is State.RUNNING
    for _ in range(5):
        world.clock.advance(10)
        assert world.reap().requeued == ()
    world.clock.advance(1)  # 10 s before the gap, 51 s after it
    assert world.reap().requeued == (job,)


def test_i13_no_lease_lies_further_ahead_than_a_fresh_one(world: World) -> None:
    """A claim that is served before the hub's first look at the heartbeat, and a clock that was set back."""
    world.enqueue()
    world.clock.advance(3600)
    claimed = world.must_claim(world.add_agent())
    world.reap()
    assert world.job(claimed.job).lease_until == world.clock.at + 60_000
    world.clock.advance(-7200)
    world.reap()
    assert world.job(claimed.job).lease_until == world.clock.at + 60_000


def test_i12_choosing_looks_at_the_heads_of_queues_by_index(world: World) -> None:
    """Both queries of a claim can use the partial index: the state stands in the SQL text, where planners see it."""
    world.enqueue()
    agent = world.add_agent()
    asked: list[tuple[str, object]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "ORDER BY job.rank" in statement:
            asked.append((statement, parameters))

    event.listen(world.database.write_engine, "before_cursor_execute", listen)
    world.must_claim(agent)
    event.remove(world.database.write_engine, "before_cursor_execute", listen)
    assert len(asked) == 2
    explain = "EXPLAIN QUERY PLAN " if world.database.dialect == "sqlite" else "EXPLAIN "
    with world.database.write() as db:
        if world.database.dialect == "postgresql":
            db.exec_driver_sql("SET LOCAL enable_seqscan = off")  # the table is too small to need an index
            db.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        for statement, parameters in asked:
            plan = str(db.exec_driver_sql(explain + statement, parameters).all())  # type: ignore[arg-type]
            assert "ix_job_turn" in plan
