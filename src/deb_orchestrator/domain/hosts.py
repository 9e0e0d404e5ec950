"""Which builder may take what, and what is thought of one: pure rules. docs/explanation/farm.md has them in words."""

from __future__ import annotations

from dataclasses import dataclass

from deb_orchestrator.domain.jobs import POLICY, Offer, Outcome, Policy, Requirement


def find_refusal(offer: Offer, wants: Requirement) -> str:
    """Why a builder with *offer* never gets a job of that class; "" if it may."""
    if wants.pool not in offer.pools:
        return f"is not of the pool {wants.pool}"
    if wants.arch and wants.arch not in offer.arches:
        if wants.arch not in offer.emulated:
            return f"does not build for {wants.arch}"
        if not wants.emulated:
            return f"only emulates {wants.arch}, and the target does not take that"
    if missing := sorted(wants.capabilities - offer.capabilities):
        return f"cannot {' and '.join(missing)}"
    if wants.trust > (trust := offer.trusts.get(wants.pool, 0)):
        return f"is trusted with {trust}, and {wants.trust} is needed"
    for what, wanted, there in (
        ("memory", wants.memory_mb, offer.memory_mb),
        ("free disk", wants.disk_mb, offer.disk_mb),
    ):
        if wanted and (there is None or there < wanted):
            return (
                f"has {'an unknown amount' if there is None else f'{there} MB'} of {what}, and {wanted} MB are needed"
            )
    return ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of a builder. Times in milliseconds since the epoch; `until` None: it is in no quarantine."""

    streak: int = 0  #: host faults since its last other outcome
    quarantines: int = 0  #: in a row: each lasts twice as long as the one before
    until: int | None = None

    @property
    def is_suspect(self) -> bool:
        return self.until is not None


def judge(standing: Standing, outcome: Outcome, *, at: int, may_quarantine: bool, policy: Policy = POLICY) -> Standing:
    """Its standing after an attempt that ended so. *may_quarantine*: its pool can spare it.

    A fault of a builder in quarantine was its canary's: it stays there for twice as long, whoever can spare it.
    """
    if outcome is not Outcome.HOST:
        return Standing()
    streak = standing.streak + 1
    if not standing.is_suspect and (streak < policy.streak or not may_quarantine):
        return Standing(streak=streak, quarantines=standing.quarantines)
    lasts = min(policy.quarantine_s * 2**standing.quarantines, policy.quarantine_most_s)
    return Standing(streak=streak, quarantines=standing.quarantines + 1, until=at + round(lasts * 1000))


def can_spare(pool_size: int, quarantined: int, policy: Policy = POLICY) -> bool:
    """Whether one more builder of a pool may go into quarantine by itself: never more than a part of it."""
    return (quarantined + 1) <= pool_size * policy.quarantine_part


def is_canary_time(standing: Standing, *, at: int, running: int) -> bool:
    """Whether a builder may claim: always out of quarantine; after its time, one job at a time until one ends well."""
    return standing.until is None or (at >= standing.until and running == 0)


@dataclass(frozen=True)
class Waiting:
    """A job that should not wait: `fits` are the builders that may take it."""

    job: int
    fits: frozenset[int]


@dataclass(frozen=True)
class Running:
    """A job of a mass rebuild; `asked`: it was asked to make room already."""

    job: int
    agent: int
    claimed_at: int
    asked: bool = False


def plan_yields(waiting: list[Waiting], running: list[Running], free: dict[int, int]) -> dict[int, int]:
    """Jobs that make room, each with the one that it is for: the youngest of those on a builder that fits.

    *free*: slots that nobody uses, by builder, those that were asked to make room not counted.
    """
    left = dict(free)
    for one in running:
        if one.asked:
            left[one.agent] = left.get(one.agent, 0) + 1
    young = sorted((one for one in running if not one.asked), key=lambda one: (-one.claimed_at, -one.job))
    plan: dict[int, int] = {}
    for wants in waiting:
        spare = next((agent for agent in sorted(wants.fits) if left.get(agent, 0) > 0), None)
        if spare is not None:
            left[spare] -= 1
            continue
        chosen = next((one for one in young if one.agent in wants.fits and one.job not in plan), None)
        if chosen is not None:
            plan[chosen.job] = wants.job
    return plan
