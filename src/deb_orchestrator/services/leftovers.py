"""What the hub's own jobs may leave undone when they fail for good: nobody waits for ever."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select, update

from deb_orchestrator.domain.jobs import OPEN, State
from deb_orchestrator.services.targets import HUB_POOL, enqueue_publish
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import job, job_class
from deb_orchestrator.store.tables_domain import build, build_arch
from deb_orchestrator.store.tables_publish import publication

#: Seconds between tries to publish a suite when the job for it failed for good.
AGAIN_S = 30


def give_up_imports(db: Connection) -> None:
    """A build whose import ended without a verdict is refused, with the job's reason."""
    query = (
        select(build_arch.c.id, job.c.reason)
        .join(job, job.c.parent_id == build_arch.c.job_id)
        .where(job.c.kind == "import", job.c.state.in_([State.FAILED.value, State.CANCELLED.value]))
        .where(build_arch.c.imported.is_(False), build_arch.c.refused.is_(None))
    )
    for row in db.execute(query).all():
        values = {"refused": f"the hub could not import it: {row.reason or 'no reason given'}"}
        db.execute(update(build_arch).where(build_arch.c.id == row.id).values(**values))
    _give_up_admissions(db)


def _give_up_admissions(db: Connection) -> None:
    """The same for what passed its gate and could not be added."""
    query = (
        select(build_arch.c.id, job.c.reason)
        .join(build, build.c.id == build_arch.c.build_id)
        .join(job, job.c.build_id == build.c.id)
        .where(job.c.kind == "admit", job.c.state.in_([State.FAILED.value, State.CANCELLED.value]))
        .where(build.c.added_event.is_(None), build_arch.c.refused.is_(None))
    )
    for row in db.execute(query).all():
        values = {"refused": f"the hub could not add it: {row.reason or 'no reason given'}"}
        db.execute(update(build_arch).where(build_arch.c.id == row.id).values(**values))


def publish_what_was_left(db: Connection) -> None:
    """Ask again for publications that should have come: content is added, and no job nor signature is under way."""
    newest = (
        select(publication.c.event)
        .where(publication.c.suite == build.c.suite)
        .order_by(publication.c.generation.desc())
        .limit(1)
        .correlate(build)
        .scalar_subquery()
    )
    left = select(build.c.suite).where(build.c.added_event > newest).distinct()
    open_jobs = [state.value for state in OPEN]
    recent = now(db) - AGAIN_S * 1000
    for suite in db.execute(left).scalars().all():
        busy = (
            exists()
            .where(job.c.kind == "publish", job.c.class_id == job_class.c.id, job_class.c.pool == HUB_POOL)
            .where(job.c.state.in_(open_jobs) | (job.c.ended_at > recent))
        )
        if not db.execute(select(busy)).scalar_one():
            enqueue_publish(db, suite)
