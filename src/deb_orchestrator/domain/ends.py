"""What becomes of a job when an attempt of it ends: one pure function, the policy of blame."""

from __future__ import annotations

from dataclasses import dataclass

from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.jobs import POLICY, Outcome, Policy, Transition


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of the job when the attempt ends."""

    losses: int  #: lost leases and host faults before this one
    max_attempts: int
    cancel_asked: bool = False
    waits: bool = True  #: unmet dependencies wait instead of failing
    faulty_builders: int = 0  #: distinct builders that reported a host fault, this one included


@dataclass(frozen=True)
class End:
    """`loses`: the attempt counts against `max_attempts`."""

    transition: Transition
    outcome: Outcome
    loses: bool = False


def choose_end(outcome: Outcome, record: Record, policy: Policy = POLICY) -> End:
    """The transition that an attempt's *outcome* (as reported, or LOST) brings, and the outcome to show for the job."""
    if record.cancel_asked:
        return End(jobs.CANCELLED, Outcome.CANCELLED)
    exhausted = record.losses + 1 >= record.max_attempts
    match outcome:
        case Outcome.SUCCEEDED:
            return End(jobs.SUCCEEDED, outcome)
        case Outcome.DEPS if record.waits:
            return End(jobs.WAITING, outcome)
        case Outcome.FAILED | Outcome.INVALID | Outcome.LIMIT | Outcome.DEPS:
            return End(jobs.FAILED, outcome)
        case Outcome.HOST if record.faulty_builders >= policy.suspect_builders:
            return End(jobs.FAILED, Outcome.SUSPECT, loses=True)
        case Outcome.HOST:
            return End(jobs.FAILED if exhausted else jobs.HOST_FAULT, outcome, loses=True)
        case Outcome.CANCELLED:  # by the agent alone: nobody asked for it
            return End(jobs.FAILED if exhausted else jobs.GIVEN_BACK, Outcome.LOST, loses=True)
        case Outcome.LOST:
            return End(jobs.FAILED if exhausted else jobs.LEASE_LOST, outcome, loses=True)
    raise ValueError(f"no attempt ends as {outcome}")
