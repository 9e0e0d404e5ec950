"""Everything that can happen to two agents and two jobs with three attempts, explored to the end.

The network keeps every request for ever and delivers it at any time, any number of times, or never; an answer reaches
the agent at once or never (a late answer is the same as an agent that pauses after it). A lease may run out at any
moment: that covers pauses of agents and hubs of any length. Agents restart, with and without what they held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.contract.orchestrator import model
from tests.contract.orchestrator.model import ENDED, QUEUED, RUNNING, SUCCEEDED, Hub, Job, Refused


class Message(NamedTuple):
    """A request on its way. Beats are left out of the network: a beat is a claim of the same id asked again."""

    kind: str  # claim | finish
    agent: int
    claim: str = ""
    boot: str = ""
    held: frozenset[tuple[int, int]] = frozenset()
    job: int = -1
    attempt: int = 0
    digest: str = ""


class Agent(NamedTuple):
    """`asked`: the request that it waits for; `works`: job and attempt."""

    boot: int = 0
    claims: int = 0
    asked: Message | None = None
    works: tuple[int, int] | None = None
    told: tuple[tuple[int, int, str], ...] = ()  # finishes that the hub acknowledged as succeeded: the ledger


class System(NamedTuple):
    hub: Hub
    agents: tuple[Agent, ...]
    network: frozenset[Message]
    restarts: int
    cancels: int
    losses: int

    def put(self, index: int, agent: Agent) -> System:
        return self._replace(agents=(*self.agents[:index], agent, *self.agents[index + 1 :]))


class Bounds(NamedTuple):
    """What may happen at most; `needs` makes the second job depend on the first."""

    claims: int = 2  # of each agent
    restarts: int = 1
    cancels: int = 1
    losses: int = 2
    needs: bool = False


Step = tuple[str, System]


def explore(bounds: Bounds) -> tuple[int, int]:
    """Visit all reachable states; returns how many, and in how many of them both jobs had ended."""
    jobs = (Job(), Job(state=model.BLOCKED, needs=(0,)) if bounds.needs else Job())
    start = System(Hub(jobs), (Agent(), Agent()), frozenset(), bounds.restarts, bounds.cancels, bounds.losses)
    seen, todo, ended = {start}, [start], 0
    hubs: set[Hub] = set()
    while todo:
        system = todo.pop()
        check_state(system)
        ended += all(job.state in ENDED for job in system.hub.jobs)
        if system.hub not in hubs:
            hubs.add(system.hub)
            check_no_job_is_stuck(system.hub)
        for name, after in find_steps(system, bounds):
            if after not in seen:
                check_step(name, system.hub, after.hub)
                seen.add(after)
                todo.append(after)
    return len(seen), ended


def find_steps(system: System, bounds: Bounds) -> Iterator[Step]:
    for i, agent in enumerate(system.agents):
        yield from act_alone(system, i, agent, bounds)
    for message in system.network:
        yield from deliver(system, message)
    for i, job in enumerate(system.hub.jobs):
        if job.state == RUNNING and (system.losses or job.asked):
            yield "lose", system._replace(hub=model.lose(system.hub, i), losses=max(0, system.losses - 1))
        if system.cancels and not job.asked and job.state not in ENDED:
            yield "cancel", system._replace(hub=model.cancel(system.hub, i), cancels=system.cancels - 1)


def act_alone(system: System, i: int, agent: Agent, bounds: Bounds) -> Iterator[Step]:
    """What the agent does by itself: ask, finish, or restart."""
    boot = f"b{agent.boot}"
    if agent.asked is None and agent.works is None and agent.claims < bounds.claims:
        message = Message("claim", i, claim=f"c{agent.claims}", boot=boot)
        yield "ask", send(system, i, agent._replace(claims=agent.claims + 1), message)
    if agent.asked is None and agent.works is not None:
        job, attempt = agent.works  # another boot may come to another result
        yield "ask", send(system, i, agent, Message("finish", i, job=job, attempt=attempt, digest=f"{i}{boot}"))
    if system.restarts:
        for works in {agent.works, None}:
            fresh = agent._replace(boot=agent.boot + 1, asked=None, works=works)
            yield "restart", system._replace(restarts=system.restarts - 1).put(i, fresh)


def send(system: System, i: int, agent: Agent, message: Message) -> System:
    if message.kind == "claim" and agent.works:
        message = message._replace(held=frozenset({agent.works}))
    return system._replace(network=system.network | {message}).put(i, agent._replace(asked=message))


def deliver(system: System, message: Message) -> Iterator[Step]:
    """The hub handles a request, now; its answer arrives if the agent still waits for it, or is lost."""
    i = message.agent
    agent = system.agents[i]
    waits = agent.asked == message
    try:
        if message.kind == "claim":
            hub, got = model.claim(system.hub, i, message.claim, message.boot, message.held)
            answered = agent._replace(asked=None if got else message, works=got)
        else:
            hub, state = model.finish(system.hub, i, message.job, message.attempt, "succeeded", message.digest)
            told = ((message.job, message.attempt, message.digest),) if state == SUCCEEDED else ()
            answered = agent._replace(asked=None, works=None, told=tuple(sorted({*agent.told, *told})))
    except Refused:
        if waits:
            yield "refused", system.put(i, agent._replace(asked=None, works=None))
        return
    yield message.kind, system._replace(hub=hub)
    if waits:
        yield message.kind, system._replace(hub=hub).put(i, answered)


def check_state(system: System) -> None:
    hub = system.hub
    ledger = {entry for agent in system.agents for entry in agent.told}
    for i, job in enumerate(hub.jobs):
        mine = [(attempt, digest) for one, attempt, digest in ledger if one == i]
        # I1: at most one result was ever acknowledged, and it is the one that is stored.
        assert len(mine) <= 1
        assert not mine or (job.state == SUCCEEDED and job.result == mine[0])
        # I3: only the current attempt's grant is good, and only while the job has not ended.
        assert not job.open or job.state in (QUEUED, RUNNING)
        assert job.state != RUNNING or job.open
        assert job.attempt == sum(one.job == i for one in hub.attempts)
        # I9: nothing runs before what it needs has succeeded.
        assert job.state != RUNNING or all(hub.jobs[need].state == SUCCEEDED for need in job.needs)
        # I10: attempts end.
        assert job.losses <= job.max_attempts
        # I11: a job whose cancel was asked for does not succeed.
        assert not (job.asked and job.state == SUCCEEDED)
    # I6: a claim id makes at most one attempt.
    ids = [(one.agent, one.claim) for one in hub.attempts]
    assert len(set(ids)) == len(ids)


def check_step(name: str, before: Hub, after: Hub) -> None:
    for old, new in zip(before.jobs, after.jobs, strict=True):
        # I1: what has ended never changes.
        assert old.state not in ENDED or new == old
        # I2: only a claim raises the attempt, by one.
        assert new.attempt == old.attempt or (name == "claim" and new.attempt == old.attempt + 1)
        # I7: running work that reports loses nothing: only the reaper, a restart, an end or a new claim stops it.
        assert name != "finish" or old.state != RUNNING or new.attempt == old.attempt
    # I4 and I5: answers that were given stay as they are.
    answered = {one for one in before.attempts if one.hash}
    assert answered <= set(after.attempts)


def check_no_job_is_stuck(hub: Hub) -> None:
    """I8, and liveness: from any state, a sound agent that comes now finishes everything that has not ended."""
    for i in range(len(hub.jobs)):
        if hub.jobs[i].state == RUNNING:
            hub = model.lose(hub, i)
    for claim in range(3):
        hub, got = model.claim(hub, 9, f"fresh{claim}", "fresh", frozenset())
        if got is None:
            break
        hub, _ = model.finish(hub, 9, *got, "succeeded", "fresh")
    assert all(job.state in ENDED for job in hub.jobs)


@pytest.mark.parametrize("needs", [False, True], ids=["two jobs", "one needs the other"])
def test_no_order_of_events_breaks_an_invariant(needs: bool) -> None:
    states, ended = explore(Bounds(needs=needs))
    print(f"{states} states, both jobs ended in {ended}")
    assert states > 10_000
    assert ended > 100


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def mutation(change: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    MUTATIONS[change.__name__] = change
    return change


@mutation
def grants_never_end(patch: pytest.MonkeyPatch) -> None:
    def check_agent_only(hub: Hub, agent: int, job: int, attempt: int) -> None:
        tried = hub.find(job, attempt)
        if tried is None or tried.agent != agent:
            raise Refused("stale")

    patch.setattr(model, "check_current", check_agent_only)


@mutation
def finish_forgets_its_answer(patch: pytest.MonkeyPatch) -> None:
    real = model.finish

    def forget(hub: Hub, agent: int, job: int, attempt: int, outcome: str, digest: str) -> tuple[Hub, str]:
        hub = hub._replace(attempts=tuple(one._replace(hash="", reply="") for one in hub.attempts))
        hub = hub.put(job, state=RUNNING, open=True) if hub.jobs[job].attempt == attempt else hub
        return real(hub, agent, job, attempt, outcome, digest)

    patch.setattr(model, "finish", forget)


@mutation
def claims_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    real = model.claim

    def forget(
        hub: Hub, agent: int, claim_id: str, boot: str, held: frozenset[tuple[int, int]]
    ) -> tuple[Hub, tuple[int, int] | None]:
        if any((one.agent, one.claim) == (agent, claim_id) for one in hub.attempts):
            free = [i for i, job in enumerate(hub.jobs) if job.state == QUEUED]
            if free:
                number = hub.jobs[free[0]].attempt + 1
                hub = hub.put(free[0], state=RUNNING, attempt=number, owner=agent, open=True)
                made = model.Attempt(free[0], number, agent, claim_id)
                return hub._replace(attempts=(*hub.attempts, made)), (free[0], number)
        return real(hub, agent, claim_id, boot, held)

    patch.setattr(model, "claim", forget)


@mutation
def a_cancel_that_was_asked_for_is_ignored(patch: pytest.MonkeyPatch) -> None:
    real = model.finish

    def ignore(hub: Hub, agent: int, job: int, attempt: int, outcome: str, digest: str) -> tuple[Hub, str]:
        asked = hub.jobs[job].asked
        after, reply = real(hub.put(job, asked=False), agent, job, attempt, outcome, digest)
        return after.put(job, asked=asked), reply

    patch.setattr(model, "finish", ignore)


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_exploration_finds_a_broken_protocol(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    with pytest.raises(AssertionError):
        explore(Bounds(losses=2))
