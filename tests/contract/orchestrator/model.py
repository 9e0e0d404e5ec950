"""The protocol of leases as a pure function of small tuples: what the statements must do, without SQL.

test_model.py explores all that can happen to it, with a network that loses, delays and doubles; test_machine.py
checks that the statements do the same as this model, step by step, on both databases.
"""

from __future__ import annotations

from typing import Any, NamedTuple

BLOCKED, QUEUED, RUNNING = "blocked", "queued", "running"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ENDED = (SUCCEEDED, FAILED, CANCELLED)
SUSPECT_BUILDERS = 2
#: Milliseconds that one step of priority is worth.
STEP = 600_000


class Refused(Exception):
    """`stale` or `conflict`."""


class Job(NamedTuple):
    """`open`: the grant of the current attempt is good. `result`: attempt and hash that were accepted."""

    state: str = QUEUED
    attempt: int = 0
    owner: int = -1
    open: bool = False
    losses: int = 0
    asked: bool = False
    result: tuple[int, str] | None = None
    max_attempts: int = 3
    priority: int = 0
    needs: tuple[int, ...] = ()
    faulty: frozenset[int] = frozenset()
    waits: bool = False  # for a token, from the beginning
    came: int = 0  # when, ms


class Attempt(NamedTuple):
    """Who made it; `hash` and `reply` once it was finished."""

    job: int
    attempt: int
    agent: int
    claim: str
    hash: str = ""
    reply: str = ""


class Hub(NamedTuple):
    """All that the database knows."""

    jobs: tuple[Job, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    boots: frozenset[tuple[int, str]] = frozenset()

    def put(self, job: int, **values: Any) -> Hub:
        changed = self.jobs[job]._replace(**values)
        return self._replace(jobs=(*self.jobs[:job], changed, *self.jobs[job + 1 :]))

    def find(self, job: int, attempt: int) -> Attempt | None:
        return next((one for one in self.attempts if (one.job, one.attempt) == (job, attempt)), None)


def enqueue(hub: Hub, job: Job) -> Hub:
    states = [hub.jobs[need].state for need in job.needs]
    state = BLOCKED if job.waits or any(one != SUCCEEDED for one in states) else QUEUED
    for one in states:  # the first dependency that ended badly decides how
        if one in (FAILED, CANCELLED):
            state = one
            break
    return hub._replace(jobs=(*hub.jobs, job._replace(state=state)))


def claim(
    hub: Hub, agent: int, claim_id: str, boot: str, held: frozenset[tuple[int, int]]
) -> tuple[Hub, tuple[int, int] | None]:
    before = next((one for one in hub.attempts if (one.agent, one.claim) == (agent, claim_id)), None)
    hub = see_boot(hub, agent, boot, held | ({(before.job, before.attempt)} if before else frozenset()))
    if before is not None:
        return beat(hub, agent, before.job, before.attempt), (before.job, before.attempt)
    free = [i for i, job in enumerate(hub.jobs) if job.state == QUEUED and agent not in job.faulty]
    if not free:
        return hub, None
    best = min(free, key=lambda i: (hub.jobs[i].came - hub.jobs[i].priority * STEP, i))
    number = hub.jobs[best].attempt + 1
    hub = hub.put(best, state=RUNNING, attempt=number, owner=agent, open=True)
    return hub._replace(attempts=(*hub.attempts, Attempt(best, number, agent, claim_id))), (best, number)


def see_boot(hub: Hub, agent: int, boot: str, held: frozenset[tuple[int, int]]) -> Hub:
    if (agent, boot) in hub.boots:
        return hub
    hub = hub._replace(boots=hub.boots | {(agent, boot)})
    for i, job in enumerate(hub.jobs):
        ends = job.asked or job.losses + 1 >= job.max_attempts  # left to the reaper
        if job.state == RUNNING and job.owner == agent and (i, job.attempt) not in held and not ends:
            hub = lose(hub, i)
    return hub


def check_current(hub: Hub, agent: int, job: int, attempt: int) -> None:
    now = hub.jobs[job]
    if (now.attempt, now.owner, now.open) != (attempt, agent, True) or now.state not in (QUEUED, RUNNING):
        raise Refused("stale")


def beat(hub: Hub, agent: int, job: int, attempt: int) -> Hub:
    check_current(hub, agent, job, attempt)
    if hub.jobs[job].state == QUEUED:
        return hub.put(job, state=RUNNING, losses=max(0, hub.jobs[job].losses - 1))
    return hub


def finish(hub: Hub, agent: int, job: int, attempt: int, outcome: str, digest: str) -> tuple[Hub, str]:
    tried = hub.find(job, attempt)
    if tried is None or tried.agent != agent:
        raise Refused("stale")
    if tried.hash:
        if tried.hash != digest:
            raise Refused("conflict")
        return hub, tried.reply
    hub = beat(hub, agent, job, attempt)
    now = hub.jobs[job]
    faulty = now.faulty | {agent} if outcome == "host" else now.faulty
    losses = now.losses + (outcome in ("host", "cancelled") and not now.asked)
    if now.asked:
        state = CANCELLED
    elif outcome in ("host", "cancelled"):
        suspect = outcome == "host" and len(faulty) >= SUSPECT_BUILDERS
        state = FAILED if suspect or losses >= now.max_attempts else QUEUED
    else:
        state = {"succeeded": SUCCEEDED, "failed": FAILED, "deps": BLOCKED}[outcome]
    result = (attempt, digest) if state in ENDED else None
    hub = hub.put(job, state=state, open=False, losses=losses, faulty=faulty, result=result)
    done = tried._replace(hash=digest, reply=state)
    hub = hub._replace(attempts=tuple(done if one is tried else one for one in hub.attempts))
    return settle(hub, job), state


def release(hub: Hub, agent: int, job: int, attempt: int) -> Hub:
    check_current(hub, agent, job, attempt)
    now = hub.jobs[job]
    state = CANCELLED if now.asked and now.state == RUNNING else QUEUED
    return settle(hub.put(job, state=state, open=False), job)


def release_waiting(hub: Hub) -> Hub:
    """Something was published: jobs that are blocked although they depend on no job go on."""
    for i, job in enumerate(hub.jobs):
        if job.state == BLOCKED and all(hub.jobs[need].state == SUCCEEDED for need in job.needs):
            hub = hub.put(i, state=QUEUED)
    return hub


def lose(hub: Hub, job: int) -> Hub:
    """The lease of a running job ran out."""
    now = hub.jobs[job]
    if now.asked:
        return settle(hub.put(job, state=CANCELLED, open=False), job)
    losses = now.losses + 1
    if losses >= now.max_attempts:
        return settle(hub.put(job, state=FAILED, open=False, losses=losses), job)
    return hub.put(job, state=QUEUED, losses=losses)


def cancel(hub: Hub, job: int) -> Hub:
    now = hub.jobs[job]
    if now.state in ENDED or now.asked:
        return hub
    if now.state == RUNNING:
        return hub.put(job, asked=True)
    return settle(hub.put(job, state=CANCELLED, open=False, asked=True), job)


def settle(hub: Hub, job: int) -> Hub:
    how = hub.jobs[job].state
    if how not in ENDED:
        return hub
    for i, other in enumerate(hub.jobs):
        if other.state != BLOCKED or job not in other.needs:
            continue
        if how != SUCCEEDED:
            hub = settle(hub.put(i, state=how), i)
        elif all(hub.jobs[need].state == SUCCEEDED for need in other.needs):
            hub = hub.put(i, state=QUEUED)
    return hub
