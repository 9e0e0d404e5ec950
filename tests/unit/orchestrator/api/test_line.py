"""Claims in a line: a job wakes few of them, and always one that may have it. Looks are counted, not time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from deb_orchestrator.dispatch.moves import agent_topic, class_topic
from deb_orchestrator.dispatch.wake import ALL, InprocWake
from deb_orchestrator.domain.jobs import Claimed
from deb_orchestrator.services.agents import Look
from deb_orchestrator.web.api import line as lines
from deb_orchestrator.web.api.line import Line

FOREVER = 600.0


@dataclass
class Queue:
    """Jobs by class, who fits which class, and who looked. `barred`: agents that may have none of what they fit."""

    fits: dict[int, frozenset[int]]
    jobs: dict[int, int] = field(default_factory=dict)
    known: frozenset[int] = frozenset({1, 2})
    barred: set[int] = field(default_factory=set)
    looks: list[int] = field(default_factory=list)
    wake: InprocWake = field(default_factory=InprocWake)

    def add(self, class_id: int, number: int = 1, *, hint: bool = True) -> None:
        self.jobs[class_id] = self.jobs.get(class_id, 0) + number
        self.known |= {class_id}
        if hint:
            self.wake.send(frozenset({class_topic(class_id)}))

    def list_queued(self) -> Collection[int]:
        return [one for one, number in self.jobs.items() if number]

    def look(self, agent: int) -> Callable[[bool], Awaitable[Look]]:
        async def one(_first: bool) -> Look:
            self.looks.append(agent)
            await asyncio.sleep(0)
            fits = self.fits[agent] & self.known
            have = [class_id for class_id in sorted(fits) if self.jobs.get(class_id)]
            if have and agent not in self.barred:
                self.jobs[have[0]] -= 1
                claimed = Claimed(job=have[0], attempt=1, grant="g", lease_s=60, kind="build", spec={})
                return Look(claimed=claimed, fits=fits, known=self.known)
            return Look(fits=fits, known=self.known, left=frozenset(have))

        return one


async def park(line: Line, queue: Queue, agents: Collection[int]) -> dict[int, asyncio.Task[Claimed | None]]:
    """All of them have looked in vain and wait."""
    tasks = {one: asyncio.ensure_future(line.wait(one, FOREVER, queue.look(one))) for one in agents}
    await settle(lambda: len(queue.looks) >= len(agents))
    queue.looks.clear()
    return tasks


async def settle(done: Callable[[], bool], *, most: float = 120) -> None:
    """Until *done*, and until nothing more happens because of it."""
    async with asyncio.timeout(most):
        while not done():
            await asyncio.sleep(0.001)
    for _ in range(50):
        await asyncio.sleep(0)


def served(tasks: dict[int, asyncio.Task[Claimed | None]]) -> list[int]:
    return [agent for agent, task in tasks.items() if task.done()]


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(300):
            await test
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(bounded())


@pytest.mark.parametrize("number", [10, 400])
def test_one_job_costs_three_looks_however_many_wait(number: int) -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(number)})
        line = Line(queue.wake, queue.list_queued)
        tasks = await park(line, queue, range(number))
        queue.add(1)
        await settle(lambda: bool(served(tasks)))
        assert served(tasks) == [0], "who waits longest"
        assert len(queue.looks) == 3, "the one that got it, and two that looked whether there are more"
        assert line.count == number - 1

    run(test())


def test_jobs_that_come_at_once_are_all_taken_by_one_hint() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(300)})
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(300))
        queue.add(1, 100)
        await settle(lambda: len(served(tasks)) == 100)
        assert queue.jobs[1] == 0
        assert len(queue.looks) <= 3 * 100

    run(test())


def test_only_those_that_a_job_is_for_look_at_it() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({2 if agent == 70 else 1}) for agent in range(100)})
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(100))
        queue.add(2)
        await settle(lambda: bool(served(tasks)))
        assert (served(tasks), queue.looks) == ([70], [70])

    run(test())


def test_a_job_that_most_may_not_have_finds_the_one_that_may() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(100)}, barred=set(range(100)) - {93})
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(100))
        queue.add(1)
        await settle(lambda: bool(served(tasks)))
        assert served(tasks) == [93]
        assert len(queue.looks) <= 101

    run(test())


def test_a_class_that_is_new_finds_its_agent() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({7 if agent == 93 else 1}) for agent in range(100)})
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(100))
        queue.add(7)
        await settle(lambda: bool(served(tasks)))
        assert served(tasks) == [93]
        queue.looks.clear()
        queue.add(7)
        await settle(lambda: True)
        assert queue.looks == [], "the others know it now, and that it is not for them"

    run(test())


def test_a_job_that_nobody_may_have_is_looked_at_once_by_each() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(60)}, barred=set(range(60)))
        await park(Line(queue.wake, queue.list_queued), queue, range(60))
        queue.add(1)
        await settle(lambda: len(queue.looks) >= 60)
        assert len(queue.looks) <= 61

    run(test())


def test_who_leaves_with_a_hint_passes_it_on() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(5)})
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(5))
        queue.add(1)  # agent 0 is woken by it
        tasks[0].cancel()
        await settle(lambda: any(task.done() for agent, task in tasks.items() if agent))
        assert queue.jobs[1] == 0

    run(test())


def test_whose_look_fails_passes_it_on() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(5)})
        line = Line(queue.wake, queue.list_queued)
        good = queue.look(0)

        async def fails(first: bool) -> Look:
            if first:
                return await good(first)
            raise ValueError("revoked")

        broken = asyncio.ensure_future(line.wait(0, FOREVER, fails))
        await settle(lambda: len(queue.looks) == 1)
        tasks = await park(line, queue, range(1, 5))
        queue.add(1)
        await settle(lambda: bool(served(tasks)))
        assert isinstance(broken.exception(), ValueError)
        assert queue.jobs[1] == 0

    run(test())


def test_a_lost_hint_costs_time_and_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LOOK_S", 0.05)

    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(20)}, barred=set(range(15)))
        tasks = await park(Line(queue.wake, queue.list_queued), queue, range(20))
        queue.add(1, 5, hint=False)
        await settle(lambda: len(served(tasks)) == 5)
        assert served(tasks) == [15, 16, 17, 18, 19]

    run(test())


def test_an_agent_is_woken_by_name_and_everybody_after_a_lost_connection() -> None:
    async def test() -> None:
        queue = Queue({agent: frozenset({1}) for agent in range(20)})
        line = Line(queue.wake, queue.list_queued)
        tasks = await park(line, queue, range(20))
        queue.wake.send(frozenset({agent_topic(4)}))
        await settle(lambda: queue.looks == [4])
        queue.wake.send(frozenset({ALL}))
        await settle(lambda: len(queue.looks) == 21)
        line.close()
        await settle(lambda: len(served(tasks)) == 20)
        assert [task.result() for task in tasks.values()] == [None] * 20

    run(test())


def test_a_claim_that_does_not_wait_looks_once() -> None:
    async def test() -> None:
        queue = Queue({0: frozenset({1})})
        assert await Line(queue.wake, queue.list_queued).wait(0, 0, queue.look(0)) is None
        assert queue.looks == [0]

    run(test())
