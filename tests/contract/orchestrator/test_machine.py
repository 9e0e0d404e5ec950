"""Whatever happens in whatever order, the statements do what the model does, on both databases.

Agents lose replies, come late with old attempts, restart, and finish twice; the clock jumps. After each step the
whole state is compared and the invariants of docs/explanation/leases.md are checked on the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from deb_orchestrator.domain.jobs import Claimed, Held, Outcome, Policy, ResultConflict, StaleAttempt
from deb_orchestrator.store import tables
from deb_orchestrator.store.engine import Database
from tests.contract.orchestrator import model
from tests.contract.orchestrator.model import Hub, Refused
from tests.contract.orchestrator.postgres import empty_database
from tests.contract.orchestrator.world import START, ManualClock, World, check_log

T = TypeVar("T")
U = TypeVar("U")

AGENTS = 3
#: The model knows no end of an exclusion.
POLICY = Policy(exclude_s=10**8)
OUTCOMES = st.sampled_from(["succeeded", "succeeded", "failed", "host", "deps", "cancelled"])


REFUSALS = {"stale": StaleAttempt, "conflict": ResultConflict}


def both(step: Callable[[], T], act: Callable[[], U]) -> Iterator[tuple[T, U]]:
    """What the model and the database say; nothing if both refuse, for the same reason."""
    try:
        expected = step()
    except Refused as refusal:
        with pytest.raises(REFUSALS[str(refusal)]):
            act()
        return
    yield expected, act()


#: What may happen, as often as it stands here.
STEPS = (
    ["claim"] * 5
    + ["finish"] * 5
    + ["beat"] * 3
    + ["lose_all_leases", "restart", "cancel", "enqueue"] * 2
    + ["claim_and_lose_the_answer", "claim_again", "claim_again_late", "release", "forge"]
    + ["publish", "wait_on", "ask_for_room", "advance", "reap"]
)


class Machine(RuleBasedStateMachine):
    """`answers` holds every answer that an agent ever had to a claim, so that old attempts come back late."""

    database: Database
    clock: ManualClock

    def __init__(self) -> None:
        super().__init__()
        self.clock.at = START
        self.hub = Hub()
        self.leases: dict[int, int] = {}  # lease_until of running jobs, ms
        self.hub_seen = START
        self.names = 0
        self.boots = ["0"] * AGENTS
        self.answers: list[tuple[int, str, Claimed]] = []
        self.unanswered: list[tuple[int, str]] = []
        self.world = World(self.database, self.clock)

    @initialize()
    def set_up(self) -> None:
        empty_database(self.database)
        self.world.set_heartbeat(START)
        assert [self.world.add_agent() for _ in range(AGENTS)] == list(range(1, AGENTS + 1))
        for needs in ((), (), (0,), (0, 1)):
            self._enqueue(model.Job(needs=needs))

    @rule(step=st.sampled_from(STEPS), data=st.data())
    def take(self, step: str, data: st.DataObject) -> None:
        """One rule for all steps: Hypothesis would switch whole rules off, and then little happens."""
        getattr(self, step)(data)

    # What the hub's clients do

    def enqueue(self, data: st.DataObject) -> None:
        needs = data.draw(st.sets(st.integers(0, len(self.hub.jobs) - 1), max_size=2))
        priority, max_attempts = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3))
        waits = not needs and data.draw(st.booleans())
        self._enqueue(model.Job(priority=priority, max_attempts=max_attempts, needs=tuple(sorted(needs)), waits=waits))

    def ask_for_room(self, data: st.DataObject) -> None:
        """An agent that does not hear of it goes on: nothing that the model sees."""
        self.world.ask_for_room(data.draw(st.integers(0, len(self.hub.jobs) - 1)) + 1)

    def wait_on(self, data: st.DataObject) -> None:
        """What waits for a token waits for another: nothing that the model sees."""
        job = data.draw(st.integers(0, len(self.hub.jobs) - 1))
        now = self.hub.jobs[job]
        waits = now.state == model.BLOCKED and all(self.hub.jobs[n].state == model.SUCCEEDED for n in now.needs)
        assert self.world.wait_on(job + 1, "package:any") is waits

    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.integers(0, len(self.hub.jobs) - 1))
        self.hub = model.cancel(self.hub, job)
        self.world.cancel(job + 1)

    def publish(self, data: st.DataObject) -> None:
        self.hub = model.release_waiting(self.hub)
        self.world.release_waiting("package:any")

    # What agents do

    def claim(self, data: st.DataObject) -> None:
        agent, claim_id = self._new_claim(data)
        self._claim(agent, claim_id)

    def claim_and_lose_the_answer(self, data: st.DataObject) -> None:
        agent, claim_id = self._new_claim(data)
        self._claim(agent, claim_id, lost=True)
        self.unanswered.append((agent, claim_id))

    def claim_again(self, data: st.DataObject) -> None:
        if self.unanswered:
            self._claim(*self.unanswered.pop())

    def claim_again_late(self, data: st.DataObject) -> None:
        for agent, claim_id, claimed in self._pick_answer(data):
            again = self._claim(agent, claim_id, lost=True)
            assert again is None or again == claimed

    def restart(self, data: st.DataObject) -> None:
        """A new boot, whose first claim says what it still holds: all or nothing."""
        agent, claim_id = self._new_claim(data)
        self.boots[agent] = claim_id
        running = [(i, job.attempt) for i, job in enumerate(self.hub.jobs) if job.owner == agent]
        self._claim(agent, claim_id, held=frozenset(running) if data.draw(st.booleans()) else frozenset())

    def beat(self, data: st.DataObject) -> None:
        for agent, _, claimed in self._pick_answer(data):
            where = claimed.job - 1, claimed.attempt
            for hub, asked in both(partial(model.beat, self.hub, agent, *where), partial(self.world.beat, claimed)):
                assert asked == hub.jobs[where[0]].asked
                self._move(hub, renewed=where[0])

    def finish(self, data: st.DataObject) -> None:
        for agent, _, claimed in self._pick_answer(data):
            outcome, digest = data.draw(OUTCOMES), data.draw(st.sampled_from(["r1", "r2"]))
            for _ in range(data.draw(st.integers(1, 2))):  # the first answer may be lost
                for (hub, state), finished in both(
                    partial(model.finish, self.hub, agent, claimed.job - 1, claimed.attempt, outcome, digest),
                    partial(self.world.finish, claimed, Outcome(outcome), digest, policy=POLICY),
                ):
                    assert finished.state == state
                    self._move(hub)

    def release(self, data: st.DataObject) -> None:
        for agent, _, claimed in self._pick_answer(data):
            where = claimed.job - 1, claimed.attempt
            for hub, state in both(
                partial(model.release, self.hub, agent, *where), partial(self.world.release, claimed)
            ):
                assert state == hub.jobs[where[0]].state
                self._move(hub)

    def forge(self, data: st.DataObject) -> None:
        for _, _, claimed in self._pick_answer(data):
            attempt = data.draw(st.integers(0, 4))
            forged = Claimed(job=claimed.job, attempt=attempt, grant="0" * 64, lease_s=60, kind="build", spec={})
            for act in (self.world.beat, self.world.finish, self.world.release):
                with pytest.raises(StaleAttempt):
                    act(forged)

    # What time does

    def advance(self, data: st.DataObject) -> None:
        self.clock.advance(data.draw(st.sampled_from([1, 14, 30, 61, 3600])))

    def lose_all_leases(self, data: st.DataObject) -> None:
        for _ in range(5):
            self.clock.advance(14)
            self.reap(data)

    def reap(self, data: st.DataObject) -> None:
        gap = self.clock.at - self.hub_seen
        if gap > POLICY.gap_s * 1000:
            longest = self.clock.at + 60_000
            self.leases = {job: min(until + gap, longest) for job, until in self.leases.items()}
        self.hub_seen = self.clock.at
        hub = self.hub
        expired = sorted(job for job, until in self.leases.items() if until < self.clock.at)
        for job in expired:
            hub = model.lose(hub, job)
        reaped = self.world.reap()
        assert sorted((*reaped.requeued, *reaped.failed, *reaped.cancelled)) == [job + 1 for job in expired]
        self._move(hub)

    # How both are compared

    @invariant()
    def the_database_is_what_the_model_says(self) -> None:
        with self.database.read() as db:
            rows = db.execute(select(tables.job).order_by(tables.job.c.id)).all()
        assert len(rows) == len(self.hub.jobs)
        for i, (row, job) in enumerate(zip(rows, self.hub.jobs, strict=True)):
            assert (row.state, row.attempt, row.losses) == (job.state, job.attempt, job.losses), f"job {row.id}"
            assert (row.grant_hash is not None, row.cancel_asked_at is not None) == (job.open, job.asked)
            assert row.result_hash == (job.result[1] if job.result else None)
            assert row.lease_until == self.leases.get(i)

    def teardown(self) -> None:
        for i in range(len(self.hub.jobs)):
            check_log(self.world, i + 1)

    def _enqueue(self, job: model.Job) -> None:
        self.hub = model.enqueue(self.hub, job._replace(came=self.clock.at))
        depends_on = tuple(need + 1 for need in job.needs)
        made = self.world.enqueue(
            priority=job.priority, max_attempts=job.max_attempts, depends_on=depends_on,
            waits_for=("package:any",) if job.waits else (),
        )  # fmt: skip
        assert made == len(self.hub.jobs)

    def _new_claim(self, data: st.DataObject) -> tuple[int, str]:
        self.names += 1
        return data.draw(st.integers(0, AGENTS - 1)), f"c{self.names}"

    def _pick_answer(self, data: st.DataObject) -> list[tuple[int, str, Claimed]]:
        """One of the last answers, or none if there is none yet."""
        if not self.answers:
            return []
        return [self.answers[-1 - data.draw(st.integers(0, min(5, len(self.answers) - 1)))]]

    def _claim(
        self, agent: int, claim_id: str, held: frozenset[tuple[int, int]] = frozenset(), *, lost: bool = False
    ) -> Claimed | None:
        boot = self.boots[agent]
        pairs = tuple(Held(job + 1, attempt) for job, attempt in held)
        answer = None
        for (hub, expected), answer in both(
            partial(model.claim, self.hub, agent, claim_id, boot, held),
            partial(self.world.claim, agent + 1, claim_id, boot=boot, held=pairs),
        ):
            assert (answer and (answer.job - 1, answer.attempt)) == expected
            self._expire_left_to_reaper(agent, boot, held, expected)
            self._move(hub, renewed=expected[0] if expected else None)
        if answer is not None and not lost:
            self.answers.append((agent, claim_id, answer))
        return answer

    def _expire_left_to_reaper(
        self, agent: int, boot: str, held: frozenset[tuple[int, int]], answered: tuple[int, int] | None
    ) -> None:
        """A restart leaves jobs that it would end to the reaper: their lease is over at once."""
        if (agent, boot) in self.hub.boots:
            return
        for i, job in enumerate(self.hub.jobs):
            ends = job.asked or job.losses + 1 >= job.max_attempts
            mine = job.state == model.RUNNING and job.owner == agent and (i, job.attempt) not in held
            if mine and ends and answered != (i, job.attempt):
                self.leases[i] = self.clock.at - 1

    def _move(self, hub: Hub, renewed: int | None = None) -> None:
        """Take the model's next state, and note the leases that it starts, renews and ends."""
        for i, job in enumerate(hub.jobs):
            if job.state != model.RUNNING:
                self.leases.pop(i, None)
            elif i == renewed or i not in self.leases:
                self.leases[i] = self.clock.at + 60_000
        self.hub = hub


def run_machine(database: Database, clock: ManualClock, *, examples: int, steps: int, derandomize: bool) -> None:
    bound = type("BoundMachine", (Machine,), {"database": database, "clock": clock})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(bound, settings=chosen)


def test_the_statements_do_what_the_model_does(database: Database, clock: ManualClock) -> None:
    run_machine(database, clock, examples=25, steps=50, derandomize=True)


@pytest.mark.slow  # ten minutes of chances that the short run does not take
def test_the_statements_do_what_the_model_does_for_long(database: Database, clock: ManualClock) -> None:
    run_machine(database, clock, examples=400, steps=80, derandomize=False)
