"""Statements at the same time: from several threads, and from two hubs where the database allows it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from deb_orchestrator.domain.jobs import Claimed, JobError, LostRace, Outcome, ResultConflict, StaleAttempt, State
from deb_orchestrator.store.engine import Database, open_database
from tests.contract.orchestrator.world import ManualClock, World, check_log


@contextmanager
def two_hubs(url: str, world: World) -> Iterator[list[World]]:
    """The world seen through one or two more databases."""
    with ExitStack() as stack:
        worlds = [world]
        if world.database.dialect == "postgresql":
            other = stack.enter_context(open_database(url, clock=world.clock))
            worlds.append(World(other, world.clock))
        yield worlds


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Start all *calls* together; refusals are results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except JobError as refusal:
            return refusal

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_i16_no_two_claims_take_one_job(url: str, world: World) -> None:
    jobs = [world.enqueue(priority=i % 3) for i in range(40)]
    agents = [world.add_agent() for _ in range(8)]
    with two_hubs(url, world) as hubs:

        def claim_all(i: int) -> list[int]:
            taken = []
            while (claimed := hubs[i % len(hubs)].claim(agents[i])) is not None:
                taken.append(claimed.job)
            return taken

        with ThreadPoolExecutor(8) as pool:
            taken = [job for one in pool.map(claim_all, range(8)) for job in one]
    assert sorted(taken) == jobs


def test_i6_copies_of_one_claim_at_once_take_one_job(url: str, world: World) -> None:
    for _ in range(5):
        world.enqueue()
    agent = world.add_agent()
    with two_hubs(url, world) as hubs:
        for i in range(5):
            answers = at_once(*[partial(hubs[n % len(hubs)].claim, agent, f"c{i}") for n in range(6)])
            assert isinstance(answers[0], Claimed)
            assert answers == [answers[0]] * 6


def test_i1_of_results_that_come_at_once_one_is_accepted(url: str, world: World) -> None:
    agent = world.add_agent()
    with two_hubs(url, world) as hubs:
        for _ in range(8):
            job = world.enqueue()
            claimed = world.must_claim(agent)
            answers = at_once(
                *[partial(hubs[n % len(hubs)].finish, claimed, result_hash=f"r{n % 3}") for n in range(6)]
            )
            conflicts = [one for one in answers if isinstance(one, ResultConflict)]
            assert len(conflicts) == 4
            accepted = [one for one in answers if not isinstance(one, JobError)]
            assert sorted(one.replayed for one in accepted) == [False, True]  # type: ignore[attr-defined]
            assert world.log(job) == ["enqueued", "claimed", "succeeded"]


def test_i1_finish_against_reap_cancel_and_claim(url: str, world: World) -> None:
    """Whoever wins, the log is one path and the end is one of those that the table allows."""
    agents = [world.add_agent() for _ in range(2)]
    ends: Counter[str] = Counter()
    with two_hubs(url, world) as hubs:
        one, two = hubs[0], hubs[-1]
        for _ in range(12):
            job = world.enqueue(max_attempts=9)
            claimed = world.must_claim(agents[0])
            for _ in range(6):
                world.clock.advance(10)
                world.reap()
            world.clock.advance(1)
            answers = at_once(
                partial(one.finish, claimed),
                two.reap,
                partial(one.cancel, job),
                partial(two.claim, agents[1]),
                partial(two.beat, claimed),
            )
            assert not [one for one in answers if isinstance(one, LostRace)]  # locks decide before guards must
            if isinstance(answers[3], Claimed):
                with contextlib.suppress(StaleAttempt):
                    world.finish(answers[3])
            ends[world.state(job)] += 1
            check_log(world, job)
    assert set(ends) <= {State.SUCCEEDED, State.CANCELLED}


def test_i9_dependencies_that_end_at_once_unblock_once(url: str, world: World) -> None:
    agent = world.add_agent()
    with two_hubs(url, world) as hubs:
        for _ in range(8):
            needs = tuple(world.enqueue() for _ in range(4))
            leaves = [world.enqueue(depends_on=needs) for _ in range(3)]
            held = [world.must_claim(agent) for _ in needs]
            answers = at_once(*[partial(hubs[n % len(hubs)].finish, held[n]) for n in range(4)])
            assert not [one for one in answers if isinstance(one, Exception)]
            for leaf in leaves:
                assert world.log(leaf) == ["enqueued", "unblocked"]
                world.cancel(leaf)


def test_i9_a_dependent_enqueued_while_its_dependency_ends_is_not_forgotten(url: str, world: World) -> None:
    agent = world.add_agent()
    with two_hubs(url, world) as hubs:
        for outcome, expected in ((Outcome.SUCCEEDED, State.QUEUED), (Outcome.FAILED, State.FAILED)) * 6:
            need = world.enqueue()
            claimed = world.must_claim(agent)
            answers = at_once(
                partial(hubs[0].finish, claimed, outcome),
                partial(hubs[-1].enqueue, depends_on=(need,)),
                partial(hubs[0].enqueue, depends_on=(need,)),
            )
            for leaf in answers[1:]:
                assert isinstance(leaf, int)
                assert world.state(leaf) is expected
                world.cancel(leaf)


def test_cascades_that_cross_do_not_wait_for_each_other(url: str, world: World) -> None:
    """Failures of two roots whose dependents overlap, beside cancels and the reaper: no deadlock, all end."""
    agent = world.add_agent()
    with two_hubs(url, world) as hubs:
        for _ in range(6):
            roots = [world.enqueue() for _ in range(2)]
            held = [world.must_claim(agent) for _ in roots]
            middle = [world.enqueue(depends_on=(roots[i % 2],)) for i in range(6)]
            leaves = [world.enqueue(depends_on=tuple(middle[i:] + roots)) for i in range(6)]
            answers = at_once(
                partial(hubs[0].finish, held[0], Outcome.FAILED),
                partial(hubs[-1].finish, held[1], Outcome.FAILED),
                partial(hubs[0].cancel, middle[3]),
                partial(hubs[-1].cancel, leaves[2]),
                hubs[-1].reap,
            )
            assert not [one for one in answers if isinstance(one, Exception)]
            assert all(world.state(job).is_terminal for job in (*roots, *middle, *leaves))


def test_i13_of_two_hubs_that_start_together_one_sees_the_gap(url: str, world: World) -> None:
    world.enqueue()
    claimed = world.must_claim(world.add_agent())
    world.clock.advance(600)
    with two_hubs(url, world) as hubs:
        answers = at_once(*[hubs[n % len(hubs)].reap for n in range(4)])
    assert sorted(one.gap_s for one in answers) == [0, 0, 0, 600]  # type: ignore[attr-defined]
    assert world.job(claimed.job).lease_until == world.clock.at + 60_000


def test_a_keyed_job_enqueued_at_once_is_one_job(url: str, world: World) -> None:
    with two_hubs(url, world) as hubs:
        for i in range(5):
            ids = at_once(*[partial(hubs[n % len(hubs)].enqueue, key=f"k{i}") for n in range(6)])
            assert len(set(map(str, ids))) == 1


def test_a_second_hub_on_one_sqlite_file_is_refused(database: Database, url: str, clock: ManualClock) -> None:
    if database.dialect == "postgresql":
        open_database(url).close()
        return
    with pytest.raises(Exception, match="another hub uses"):
        open_database(url)
    open_database(url, alone=False).close()
