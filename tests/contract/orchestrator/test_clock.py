"""The database's clock jumps: nobody loses a lease for it, and what was lost is claimable within the promise."""

from __future__ import annotations

import random

import pytest

from deb_orchestrator.domain.jobs import Outcome, State
from tests.contract.orchestrator.world import World

DAY = 86_400.0
#: Seconds: a lease, a reaper's period, and five more.
CLAIMABLE_S = 70.0


@pytest.mark.parametrize("seed", range(2))
def test_i13_a_clock_that_jumps_takes_no_job_from_who_beats_and_keeps_none_from_others(world: World, seed: int) -> None:
    """*true* is the time that passes. The reaper looks each 5 s, the builder that lives beats each 15 s."""
    chance = random.Random(seed)
    living, dead = world.add_agent(), world.add_agent()
    lives, dies = world.enqueue(), world.enqueue()
    held = world.must_claim(living)
    lost = world.must_claim(dead)
    assert {held.job, lost.job} == {lives, dies}
    since, jumps = 0.0, 0
    for step in range(120):  # ten minutes
        if step % 24 == 7:
            world.clock.advance(chance.choice([-1, 1]) * chance.choice([3.0, 20.0, 3600.0, DAY]))
            since, jumps = 0.0, jumps + 1
        world.clock.advance(5)
        since += 5
        if step % 3 == 0:
            world.beat(held)
        world.reap()
        assert (world.state(held.job), world.job(held.job).attempt) == (State.RUNNING, held.attempt)
        if since >= CLAIMABLE_S and world.state(lost.job) is not State.QUEUED:
            pytest.fail(f"{since} s after the last jump nobody may claim what was lost")
    assert jumps == 5
    assert world.must_claim(living).job == lost.job


def test_i13_a_clock_set_back_leaves_no_time_ahead(world: World) -> None:
    """A builder keeps off a job that it broke for two minutes at most, not for two minutes and a day."""
    only = world.add_agent()
    job = world.enqueue(max_attempts=9)
    world.reap()
    world.finish(world.must_claim(only), Outcome.HOST)
    assert world.claim(only) is None
    world.clock.advance(-DAY)
    for _ in range(25):
        world.clock.advance(5)
        world.reap()
    claimed = world.must_claim(only)
    assert (claimed.job, claimed.attempt) == (job, 2)
