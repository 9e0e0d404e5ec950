"""Turns, priorities with ageing, room for what is urgent, quarantine and canary; on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from deb_orchestrator.dispatch.turns import FORGET_MS, forget_turns
from deb_orchestrator.domain.jobs import POLICY, Offer, Outcome, Requirement, State
from deb_orchestrator.store import tables as t
from tests.contract.orchestrator.world import World, check_log

MASS = "ann/mass-rebuild"


def take(world: World, agent: int) -> int:
    """A job, done at once."""
    claimed = world.must_claim(agent)
    world.finish(claimed)
    world.clock.advance(5)
    return claimed.job


def test_i18_owners_take_turns(world: World) -> None:
    agent = world.add_agent()
    mass = [world.enqueue(owner=MASS) for _ in range(6)]
    assert take(world, agent) == mass[0]
    bob = [world.enqueue(owner="bob") for _ in range(2)]
    order = [take(world, agent) for _ in range(5)]
    assert order.index(bob[0]) <= 1, "one job of the other owner at most comes first"
    assert order[:4] in ([mass[1], bob[0], mass[2], bob[1]], [bob[0], mass[1], bob[1], mass[2]])
    assert order[4] == mass[3]


def test_i18_a_lower_priority_waits_and_not_for_ever(world: World) -> None:
    agent = world.add_agent()
    mass = world.enqueue(owner=MASS, priority=-10)
    urgent = [world.enqueue(owner="bob") for _ in range(2)]
    assert [take(world, agent) for _ in range(2)] == urgent
    for _ in range(3):
        world.clock.advance(10 * POLICY.age_s / 3 - 20)
        late = world.enqueue(owner="bob")
        assert take(world, agent) == late
    world.clock.advance(120)
    last = world.enqueue(owner="bob")
    assert take(world, agent) == last
    world.enqueue(owner="bob")
    assert take(world, agent) == mass, "ten steps of priority are worth ten times age_s of waiting"


def test_i18_within_one_owner_age_outweighs_priority(world: World) -> None:
    agent = world.add_agent()
    old = world.enqueue(owner="bob")
    world.clock.advance(POLICY.age_s + 1)
    new, newest = world.enqueue(owner="bob", priority=1), world.enqueue(owner="bob", priority=2)
    assert [take(world, agent) for _ in range(3)] == [newest, old, new]


def test_i18_a_forgotten_owner_is_known_again_with_its_next_job(world: World) -> None:
    agent = world.add_agent()
    world.enqueue(owner="bob")
    take(world, agent)
    kept = world.enqueue(owner="cy")
    world.clock.advance(FORGET_MS / 1000 + 60)
    with world.database.write() as db:
        forget_turns(db, at=world.clock.at)
        assert list(db.execute(select(t.job_turn.c.owner)).scalars()) == ["cy"]
    again = world.enqueue(owner="bob")
    assert {take(world, agent), take(world, agent)} == {kept, again}


@pytest.mark.parametrize(
    ("requires", "offer", "gets"),
    [
        (Requirement(memory_mb=100), Offer(memory_mb=100), True),
        (Requirement(memory_mb=100), Offer(memory_mb=99), False),
        (Requirement(disk_mb=100), Offer(), False),
        (Requirement(trust=1), Offer(trusts={"default": 1}), True),
        (Requirement(trust=2), Offer(trusts={"default": 1}), False),
        (Requirement(arch="arm64", emulated=True), Offer(emulated=frozenset({"arm64"})), True),
        (Requirement(arch="arm64"), Offer(emulated=frozenset({"arm64"})), False),
    ],
)
def test_i12_a_class_says_what_it_takes(world: World, requires: Requirement, offer: Offer, gets: bool) -> None:
    world.enqueue(requires=requires)
    world.enqueue(requires=requires)
    world.offer = offer
    assert (world.claim(world.add_agent()) is not None) is gets
    with world.database.read() as db:
        assert len(db.execute(select(t.job_class.c.id)).all()) == 1


def test_i19_room_is_asked_for_with_the_next_beat_and_costs_nothing(world: World) -> None:
    agent = world.add_agent()
    job = world.enqueue(owner=MASS, priority=-10)
    claimed = world.must_claim(agent)
    assert not world.must_make_room(claimed)
    assert world.ask_for_room(job)
    assert not world.ask_for_room(job), "once is enough"
    assert world.must_make_room(claimed)
    urgent = world.enqueue(owner="bob")
    assert world.release(claimed) is State.QUEUED
    first = world.must_claim(agent)
    assert first.job == urgent
    world.finish(first)
    again = world.must_claim(agent)
    assert (again.job, again.attempt, world.job(job).losses) == (job, 2, 0)
    assert not world.must_make_room(again)
    check_log(world, job)


def test_i19_an_agent_that_does_not_hear_of_it_may_finish(world: World) -> None:
    job = world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.ask_for_room(job)
    assert world.finish(claimed).state is State.SUCCEEDED


def fault(world: World, agent: int) -> str:
    """A host fault with a job of its own; what became of the builder."""
    job = world.enqueue(priority=1000)
    claimed = world.must_claim(agent)
    assert claimed.job == job
    done = world.finish(claimed, Outcome.HOST, f"r{job}", reason="the disk is full")
    world.cancel(job)
    return done.builder


def test_i20_a_streak_quarantines_a_builder_and_a_canary_frees_it(world: World) -> None:
    bad, *_ = (world.add_agent_of("default") for _ in range(4))
    assert [fault(world, bad) for _ in range(3)] == ["", "", "quarantined"]
    canary, other = world.enqueue(), world.enqueue()
    assert world.claim(bad) is None
    world.clock.advance(POLICY.quarantine_s + 1)
    claimed = world.must_claim(bad)
    assert (claimed.job, world.claim(bad)) == (canary, None), "one at a time"
    assert world.finish(claimed, Outcome.FAILED, reason="does not compile").builder == "released"
    assert world.must_claim(bad).job == other


def test_i20_a_canary_that_dies_doubles_the_time(world: World) -> None:
    bad, *_ = (world.add_agent_of("default") for _ in range(4))
    for _ in range(3):
        fault(world, bad)
    world.clock.advance(POLICY.quarantine_s + 1)
    assert fault(world, bad) == "quarantined"
    world.enqueue()
    world.clock.advance(POLICY.quarantine_s + 1)
    assert world.claim(bad) is None
    world.clock.advance(POLICY.quarantine_s + 1)
    assert world.must_claim(bad)


def test_i20_never_more_than_a_quarter_of_a_pool(world: World) -> None:
    bad, worse, *_ = (world.add_agent_of("default") for _ in range(4))
    assert [fault(world, bad) for _ in range(3)][-1] == "quarantined"
    assert [fault(world, worse) for _ in range(5)] == [""] * 5
    assert world.enqueue()
    assert world.claim(worse) is not None


def test_i20_a_suspect_jobs_faults_are_not_its_builders(world: World) -> None:
    one, two, *_ = (world.add_agent_of("default") for _ in range(4))
    for n in range(3):
        job = world.enqueue()
        for agent in (one, two):
            claimed = world.must_claim(agent)
            done = world.finish(claimed, Outcome.HOST, f"{n}{agent}", reason="crash")
        assert (done.outcome, world.state(job)) == (Outcome.SUSPECT, State.FAILED)
    with world.database.read() as db:
        assert set(db.execute(select(t.agent.c.streak, t.agent.c.quarantined_until)).all()) == {(0, None)}
