"""A call's idempotency key is kept in the transaction that does what was asked for, or not at all.

The web layer puts a `Once` around a call; `services.hub.log_audit`, which every such transaction calls, marks it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection

from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_doors import once
from debcore.errors import Failure


class AlreadyDone(Failure):
    """Another call with the same key came first."""


@dataclass
class Once:
    """`id`: hash of caller and key. `fingerprint`: hash of what is asked for. `marked`: it was done."""

    id: str
    fingerprint: str
    marked: bool = False


CURRENT: ContextVar[Once | None] = ContextVar("debootc_once", default=None)


def mark(db: Connection) -> None:
    """Keep the key of the call that runs, if it has one. Errors: AlreadyDone, which undoes the transaction."""
    current = CURRENT.get()
    if current is None or current.marked:
        return
    values = {"id": current.id, "fingerprint": current.fingerprint, "at": now(db)}
    new = insert_new(db, once).values(**values).returning(once.c.id)
    if db.execute(new).first() is None:
        raise AlreadyDone("a call with this Idempotency-Key was made already", hint="repeat it for its answer")
    current.marked = True
