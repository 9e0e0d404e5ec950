"""What makes publishing go on by itself: answers that a hub died over, refusals that may pass, releases that grow old.

Everything here is safe to repeat and to run on several hubs at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import TERMINAL, NewJob, Requirement, State
from deb_orchestrator.services.publish_settings import HUB_POOL
from deb_orchestrator.services.publish_sign import accept_answer
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication, suite, suite_key
from debcore.blobs import BlobStore

#: Seconds until a refused suite is published anew: doubled with each refusal in a row, up to the second.
_AGAIN, _AGAIN_MOST = 60, 3600


def settle(db: Database, blobs: BlobStore) -> int:
    """Act on `sign` jobs that ended and were not acted upon, and enqueue publications that are due.

    Returns how many of both. Run it at start and every few seconds.
    """
    with db.read() as conn:
        ended = [*_find_unheard(conn)]
        due = [*_find_refused(conn), *_find_old(conn)]
    for job_id in ended:
        accept_answer(db, blobs, job_id)
    if due:
        with db.write() as conn:
            for name, key in due:
                enqueue(
                    conn, NewJob(kind="publish", spec={"suite": name}, requires=Requirement(pool=HUB_POOL), key=key)
                )
    return len(ended) + len(due)


def resign_after(valid_s: int | None) -> float:
    """Seconds after which a release that is valid for *valid_s* is to be signed anew."""
    return float("inf") if valid_s is None else valid_s / 2


def _find_unheard(conn: Connection) -> Iterator[int]:
    asked = sa.select(suite_key.c.suite).where(suite_key.c.state == "asked")
    lacking = suite.c.public_key.is_(None) | suite.c.name.in_(asked)
    for name in conn.execute(sa.select(suite.c.name).where(lacking)).scalars().all():
        keys = job.c.key.startswith(f"sign-key:{name}:", autoescape=True)
        yield from conn.execute(sa.select(job.c.id).where(keys, job.c.state == State.SUCCEEDED)).scalars()
    query = sa.select(job.c.id).join(publication, publication.c.sign_job == job.c.id)
    ended = job.c.state.in_(sorted(TERMINAL))
    yield from conn.execute(query.where(publication.c.state == "signing", ended).order_by(job.c.id)).scalars()


def _find_refused(conn: Connection) -> Iterator[tuple[str, str]]:
    """Suites whose newest publication was refused a while ago: the cause may have passed (clock, rate, a lost key)."""
    for name in conn.execute(sa.select(suite.c.name)).scalars().all():
        query = sa.select(publication).where(publication.c.suite == name).order_by(publication.c.generation.desc())
        row = list(takewhile(lambda row: row.state == "refused", conn.execute(query.limit(10))))
        wait = min(_AGAIN * 2 ** (len(row) - 1), _AGAIN_MOST) if row else 0
        if row and row[0].created_at + wait * 1000 < now(conn):
            yield name, f"republish:{name}:{row[0].generation}"


def _find_old(conn: Connection) -> Iterator[tuple[str, str]]:
    query = sa.select(publication, suite.c.valid_s).join(suite, suite.c.name == publication.c.suite)
    for row in conn.execute(query.where(publication.c.state == "live", suite.c.valid_s.isnot(None))).all():
        if row.created_at + resign_after(row.valid_s) * 1000 < now(conn):
            yield row.suite, f"resign:{row.suite}:{row.generation}"
