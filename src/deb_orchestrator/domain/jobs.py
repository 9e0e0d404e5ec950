"""The life of a job: states, the table of transitions, and the values that the seven statements take and give.

This table is the whole state machine. docs/explanation/leases.md explains it; dispatch/moves.py is its only writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from debcore.errors import Failure


class State(StrEnum):
    """`blocked → queued → running → succeeded | failed | cancelled`."""

    BLOCKED = "blocked"  # by jobs that it depends on, or by what it waits for
    QUEUED = "queued"
    RUNNING = "running"  # one agent holds a lease
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
OPEN = (State.BLOCKED, State.QUEUED, State.RUNNING)


class Outcome(StrEnum):
    """Why an attempt or a job ended. Agents report the first group; the hub alone gives the second."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the package's fault: not retried
    INVALID = "invalid"  # the input's fault: not retried
    LIMIT = "limit"  # time, memory or disk: not retried
    DEPS = "deps"  # dependencies cannot be met: waits for exactly what it needs
    HOST = "host"  # the builder's fault: goes elsewhere
    CANCELLED = "cancelled"

    LOST = "lost"  # the lease ran out, or the agent restarted without the attempt
    SUSPECT = "suspect"  # two distinct builders failed: the job is to blame
    DEPENDENCY = "dependency"  # a job that it depends on did not succeed


#: What an agent may report.
REPORTED = frozenset(
    {
        Outcome.SUCCEEDED,
        Outcome.FAILED,
        Outcome.INVALID,
        Outcome.LIMIT,
        Outcome.DEPS,
        Outcome.HOST,
        Outcome.CANCELLED,
    }
)


class Transition(NamedTuple):
    """One row of the table. `name` is what job_log calls it."""

    name: str
    sources: tuple[State, ...]
    target: State


UNBLOCKED = Transition("unblocked", (State.BLOCKED,), State.QUEUED)
CLAIMED = Transition("claimed", (State.QUEUED,), State.RUNNING)
RESUMED = Transition("resumed", (State.QUEUED,), State.RUNNING)
LEASE_LOST = Transition("lease-lost", (State.RUNNING,), State.QUEUED)
GIVEN_BACK = Transition("given-back", (State.RUNNING,), State.QUEUED)
WAITING = Transition("waiting", (State.RUNNING,), State.BLOCKED)
WAITS_ON = Transition("waits-on", (State.BLOCKED,), State.BLOCKED)
HOST_FAULT = Transition("host-fault", (State.RUNNING,), State.QUEUED)
CANCEL_ASKED = Transition("cancel-asked", (State.RUNNING,), State.RUNNING)
ROOM_ASKED = Transition("room-asked", (State.RUNNING,), State.RUNNING)
SUCCEEDED = Transition("succeeded", (State.RUNNING,), State.SUCCEEDED)
FAILED = Transition("failed", (State.RUNNING,), State.FAILED)
DEPENDENCY_FAILED = Transition("dependency-failed", (State.BLOCKED,), State.FAILED)
CANCELLED = Transition("cancelled", OPEN, State.CANCELLED)

TRANSITIONS: tuple[Transition, ...] = (
    UNBLOCKED,
    CLAIMED,
    RESUMED,
    LEASE_LOST,
    GIVEN_BACK,
    WAITING,
    WAITS_ON,
    HOST_FAULT,
    CANCEL_ASKED,
    ROOM_ASKED,
    SUCCEEDED,
    FAILED,
    DEPENDENCY_FAILED,
    CANCELLED,
)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The times and limits of leases. Times in seconds; agents and tests that shorten them must agree."""

    lease_s: float = 60.0
    gap_s: float = 15.0  #: three reaper periods without a hub's heartbeat: no hub was alive
    exclude_s: float = 60.0  #: a builder keeps off a job that it broke, doubled with each fault of the job
    suspect_builders: int = 2  #: host faults on so many distinct builders count against the job
    age_s: float = 600.0  #: one step of priority is worth so much waiting
    turn_s: float = 1.0  #: how exactly it is known when an owner had its last turn
    streak: int = 3  #: so many host faults in a row put a builder into quarantine
    quarantine_s: float = 600.0  #: the first one; each that follows lasts twice as long
    quarantine_most_s: float = 86400.0
    quarantine_part: float = 0.25  #: of a pool, at most, goes into quarantine by itself


POLICY = Policy()


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What an agent must offer. Equal requirements are one class. `arch` "" means any architecture."""

    pool: str = "default"
    arch: str = ""
    capabilities: frozenset[str] = frozenset()
    trust: int = 0  #: of the pool, at least
    memory_mb: int = 0  #: at least; 0: whatever there is
    disk_mb: int = 0  #: free, at least
    emulated: bool = False  #: a builder that only emulates the architecture will do


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What an agent offers; a class fits if its pool and architecture are among these and no capability is missing."""

    pools: frozenset[str] = frozenset({"default"})
    arches: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    emulated: frozenset[str] = frozenset()  #: architectures, by emulation
    memory_mb: int | None = None  #: None: it did not say
    disk_mb: int | None = None
    trusts: Mapping[str, int] = field(default_factory=dict)  #: of its pools, where it is not 0


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to enqueue. `spec` is JSON. With `key` set, enqueueing again gives the first job's id."""

    kind: str
    spec: dict[str, Any]
    requires: Requirement = Requirement()
    priority: int = 0  #: higher is sooner; then the older job
    depends_on: tuple[int, ...] = ()
    waits_for: tuple[str, ...] = ()  #: tokens, as those of a job with unmet dependencies
    owner: str = ""  #: who takes turns with others: jobs of one owner are one queue
    key: str | None = None
    max_attempts: int = 5  #: lost leases and host faults together; given-back attempts do not count
    parent_id: int | None = None
    request_id: str | None = None
    build_id: int | None = None
    arch: str | None = None  #: for people and events; the requirement decides who may claim
    trace: str | None = None  #: None: that of the call at hand


@dataclass(frozen=True)
class Held:
    """An attempt that an agent says it still works on."""

    job: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The answer to a claim. `grant` is secret: only its hash is stored."""

    job: int
    attempt: int
    grant: str = field(repr=False)
    lease_s: float
    kind: str
    spec: dict[str, Any]
    request_id: str | None = None
    build_id: int | None = None
    arch: str | None = None
    trace: str | None = None
    #: Seconds since it was queued; None where a claim is answered again, which is the same claim all the same.
    waited_s: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Beat:
    """The answer to a beat: stop if `cancel`, and beat again well within `lease_s` seconds."""

    cancel: bool
    lease_s: float
    make_room: bool = False  #: give the job back: another is more urgent


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What one statement moved besides its own job: callers turn these into domain events."""

    unblocked: tuple[int, ...] = ()  #: blocked → queued
    ended: tuple[int, ...] = ()  #: blocked → failed | cancelled, because of a dependency


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The answer to a finish. With `replayed` it is the stored answer: nothing was changed, so do nothing again."""

    job: int
    attempt: int
    state: State
    outcome: Outcome
    reason: str = ""
    replayed: bool = False
    settled: Settled = Settled()
    builder: str = ""  #: quarantined | released: what became of the builder with it


@dataclass(frozen=True, kw_only=True)
class Released:
    """The answer to a release: queued, or cancelled if that was asked for."""

    state: State
    settled: Settled = Settled()


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What one run of the reaper did. `gap_s`: how long no hub was alive (0: one was)."""

    requeued: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    cancelled: tuple[int, ...] = ()
    gap_s: float = 0.0
    settled: Settled = Settled()


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """`state` is running while the agent has yet to obey. `changed` is False if there was nothing left to cancel."""

    state: State
    changed: bool
    settled: Settled = Settled()


class JobError(Failure):
    """A job statement that was refused; nothing was changed."""


class UnknownJob(JobError):
    """There is no such job."""


class UnknownAgent(JobError):
    """The agent is not enrolled, not approved, or revoked."""


class StaleAttempt(JobError):
    """The attempt was superseded, ended, or its grant is not valid: the holder must stop its work."""


class ResultConflict(JobError):
    """The attempt already has another result."""


class KeyConflict(JobError):
    """The idempotency key belongs to a different job."""


class LostRace(JobError):
    """The job is in no state that this transition starts from, or in a later attempt: somebody moved it."""
