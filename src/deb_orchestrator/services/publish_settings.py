"""What a suite's owner chose for it, and what follows from that."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import OPEN, NewJob, Requirement
from deb_orchestrator.services.publish_index import find_suite
from deb_orchestrator.services.publish_keys import list_snapshots_of
from deb_orchestrator.services.suite_view import has_changed
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import suite, suite_followed, suite_setting
from debcore.hub.repos import SuiteSettings

#: Agents of this pool are the hubs themselves.
HUB_POOL = "hub"
#: Below everything else that a hub does.
_LAST = -100


def find_settings(conn: Connection, suite_name: str) -> SuiteSettings:
    """Errors: Failure if there is no such suite."""
    valid_s = find_suite(conn, suite_name).valid_s
    rows = conn.execute(sa.select(suite_setting).where(suite_setting.c.suite == suite_name)).all()
    return SuiteSettings.model_validate({row.name: row.value for row in rows} | {"valid_s": valid_s})


def store_settings(conn: Connection, suite_name: str, settings: SuiteSettings) -> None:
    """Errors: Failure if there is no such suite."""
    conn.execute(sa.select(suite.c.name).where(suite.c.name == suite_name).with_for_update())
    find_suite(conn, suite_name)
    values = settings.model_dump(mode="json")
    conn.execute(suite.update().where(suite.c.name == suite_name).values(valid_s=values.pop("valid_s")))
    conn.execute(suite_setting.delete().where(suite_setting.c.suite == suite_name))
    rows = [{"suite": suite_name, "name": name, "value": value} for name, value in sorted(values.items())]
    conn.execute(suite_setting.insert(), rows)


def debug_suite(suite_name: str) -> str:
    """The companion that takes its debug symbols."""
    return f"{suite_name}-debug"


def find_companions(conn: Connection, suite_name: str) -> tuple[str, ...]:
    """The suite and those that take a part of what is added to it."""
    query = sa.select(suite_setting.c.value).where(suite_setting.c.suite == suite_name, suite_setting.c.name == "debug")
    return (suite_name, debug_suite(suite_name)) if conn.execute(query).scalar() else (suite_name,)


def request_publications(conn: Connection, suite_name: str) -> None:
    """Of the suite and all its snapshots, though their content is published: they are to be signed by other keys."""
    for name in (suite_name, *list_snapshots_of(conn, suite_name)):
        spec = {"suite": name, "force": True}
        enqueue(conn, NewJob(kind="publish", spec=spec, requires=Requirement(pool=HUB_POOL), priority=50))


def request_followers(conn: Connection, suite_name: str, *, anew: bool = False) -> int | None:
    """A job that makes Contents, Translation and xz of what the suite holds; None if they are made or asked for.

    *anew*: also if its content has not changed, for its settings have.
    """
    followed = conn.execute(sa.select(suite_followed.c.event).where(suite_followed.c.suite == suite_name)).scalar()
    if not anew and not has_changed(conn, suite_name, followed or 0):
        return None
    waiting = sa.select(job.c.spec).where(job.c.kind == "follow", job.c.state.in_([state.value for state in OPEN]))
    started = job.c.attempt > 0  # one that has begun may have read too early
    if {"suite": suite_name} in conn.execute(waiting.where(~started)).scalars().all():
        return None
    new = NewJob(kind="follow", spec={"suite": suite_name}, requires=Requirement(pool=HUB_POOL), priority=_LAST)
    return enqueue(conn, new)
