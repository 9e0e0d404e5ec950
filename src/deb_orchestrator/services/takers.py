"""Who may take a queued job: what is ahead of it, which builders fit, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from deb_orchestrator.dispatch.classes import read_class
from deb_orchestrator.domain.hosts import find_refusal
from deb_orchestrator.domain.jobs import POLICY, Offer, Policy, Requirement, State
from deb_orchestrator.services.agents import find_maintenance, load_trusts, read_offer
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import agent, job, job_class, job_exclusion
from debcore.hub.model import Reason

#: Builders that one answer names.
_NAMED = 8
#: Seconds without a word after which a builder is not waited for; one that is alive claims or beats each minute.
SILENT_S = 300


@dataclass(frozen=True)
class Builder:
    """An approved one. `hindrance`: why it takes nothing now; "". `busy`: how many jobs fill it; ""."""

    id: int
    name: str
    offer: Offer
    hindrance: str
    busy: str = ""


@dataclass(frozen=True)
class Builders:
    """As they are at one moment. `kept_off`: (job, builder) of those that broke it a while ago."""

    maintenance: str | None
    every: Sequence[Builder]
    kept_off: frozenset[tuple[int, int]]
    #: Sentences by class, of jobs that nobody is kept off from.
    said: dict[int, tuple[str, str]] = field(default_factory=dict)


def load_builders(db: Connection, jobs: Iterable[int], *, frank: bool = True) -> Builders:
    """For explaining *jobs*. *frank*: with faults in words, which may tell of builds that the reader does not see."""
    trusts, at = load_trusts(db), now(db)
    # Without what it says of itself, for each list of an agent is JSON to be read.
    columns = [column for column in agent.c if column.name not in ("facts", "token_hash")]
    rows = select(*columns).where(agent.c.state == "approved", agent.c.token_hash.isnot(None)).order_by(agent.c.name)
    held = _count_running(db)
    every = [
        Builder(
            row.id, row.name, read_offer(row, trusts), _find_hindrance(row, at, held.get(row.id, 0), frank=frank),
            f" (busy with {held[row.id]} of {row.slots} jobs)" if held.get(row.id, 0) >= row.slots else "",
        )
        for row in db.execute(rows)
    ]  # fmt: skip
    kept = select(job_exclusion).where(job_exclusion.c.job_id.in_(list(jobs)), job_exclusion.c.until_at > at)
    return Builders(find_maintenance(db), every, frozenset((row.job_id, row.agent_id) for row in db.execute(kept)))


def _count_running(db: Connection) -> dict[int, int]:
    """Jobs under way, by builder."""
    running = (job.c.state == State.RUNNING.value) & job.c.ended_at.is_(None)
    query = select(job.c.agent_id, func.count().label("n")).where(running).group_by(job.c.agent_id)
    return {row.agent_id: row.n for row in db.execute(query)}


def explain_queued(db: Connection, subject: str, job_id: int, *, frank: bool = True) -> Reason:
    """What is ahead of a queued job, and which builders may take it, or why none does."""
    row = db.execute(select_with_class().where(job.c.id == job_id)).one()
    mine = (job.c.class_id == row.class_id) & (job.c.state == State.QUEUED.value)
    first = (job.c.rank < row.rank) | ((job.c.rank == row.rank) & (job.c.id < job_id))
    ahead = db.execute(select(func.count()).where(mine, job.c.owner == row.owner, first)).scalar_one()
    others = db.execute(select(func.count(job.c.owner.distinct())).where(mine, job.c.owner != row.owner)).scalar_one()
    return say_queued(load_builders(db, [job_id], frank=frank), subject, row, ahead, others)


def select_with_class() -> Select[Any]:
    """Jobs with what their class requires."""
    wants = [column for column in job_class.c if column.name not in ("id", "key")]
    return select(job, *wants).join(job_class, job_class.c.id == job.c.class_id)


def say_queued(builders: Builders, subject: str, row: Row[Any], ahead: int, others: int) -> Reason:
    """*row*: of `select_with_class`. *ahead*: jobs of its owner; *others*: owners that take turns with it."""
    if builders.maintenance is not None:
        next_ = "deb-orchestrator host maintenance off"
        return Reason(subject=subject, fact=f"the farm is under maintenance: {builders.maintenance}", next=next_)
    kept = frozenset(one for job_id, one in builders.kept_off if job_id == row.id)
    if kept or row.class_id not in builders.said:
        said = _say_builders(builders.every, read_class(row), kept)
        if not kept:
            builders.said[row.class_id] = said
    else:
        said = builders.said[row.class_id]
    takers, none = said
    if none:
        return Reason(subject=subject, fact=none, next="start, approve or enable one")
    turns = f", and {others} other owners take turns" if others else ""
    return Reason(subject=subject, fact=f"{ahead} jobs are ahead of it{turns}{_say_rank(row.priority)}; {takers}")


def _say_rank(priority: int, policy: Policy = POLICY) -> str:
    """What its priority means: it ages, so that it comes in the end whatever came since."""
    if not priority:
        return ""
    minutes = round(abs(priority) * policy.age_s / 60)
    return (
        f"; with priority {priority} it stands as if it had come {minutes} min {'sooner' if priority > 0 else 'later'}"
    )


def _say_builders(every: Sequence[Builder], wants: Requirement, kept: frozenset[int]) -> tuple[str, str]:
    """Who may take it and why the others do not, "" ; or "", and why nobody does."""
    fits: list[str] = []
    hindered: list[str] = []
    unfit: list[str] = []
    foreign: list[str] = []  # said only where nobody builds for the architecture
    for one in every:
        hindrance = one.hindrance or ("broke it, and keeps off it for a while" if one.id in kept else "")
        if refusal := find_refusal(one.offer, wants):
            builds = not wants.arch or wants.arch in one.offer.arches | one.offer.emulated
            if "sign" not in one.offer.pools:
                (unfit if builds else foreign).append(f"{one.name} {refusal}")
        elif hindrance:
            hindered.append(f"{one.name} {hindrance}")
        else:
            fits.append(one.name + one.busy)
    if not fits:
        skill = f" and can {' and '.join(sorted(wants.capabilities))}" if wants.capabilities else ""
        return "", _join(f"no approved agent builds for {wants.arch}{skill}", ": ", [*hindered, *unfit, *foreign])
    more = f" and {len(fits) - _NAMED} more" if len(fits) > _NAMED else ""
    takers = f"{len(fits)} agents may take it: {', '.join(fits[:_NAMED])}{more}"
    return _join(takers, "; ", [*hindered, *unfit]), ""


def _join(said: str, by: str, others: Sequence[str]) -> str:
    more = [f"and {len(others) - _NAMED} more do not"] if len(others) > _NAMED else []
    return f"{said}{by}{'; '.join([*others[:_NAMED], *more])}" if others else said


def _find_hindrance(row: Row[Any], at: int, running: int, *, frank: bool) -> str:
    """Why a builder that could take jobs takes none now; *running*: jobs that it holds."""
    if row.paused_reason is not None:
        return f"is disabled: {row.paused_reason}"
    if row.quarantined_until is not None:
        words = f": {row.quarantine_reason}" if frank else ""
        if row.quarantined_until > at:
            left = (row.quarantined_until - at) // 1000
            return f"is in quarantine for {left} s more, then tried with one job{words}"
        if running:
            return f"comes out of quarantine if the one job ends well that it is tried with{words}"
    if row.seen_at is not None and at - row.seen_at > SILENT_S * 1000:
        return f"has not been heard of for {(at - row.seen_at) // 60_000} min"
    return ""
