"""Answers to calls with an idempotency key: kept for a day, given again to who repeats the call."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from deb_orchestrator.services.hub import Conflict, Hub
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.once import Once
from deb_orchestrator.store.tables_doors import once
from debcore.errors import Failure

#: Milliseconds that an answer is kept.
KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Stored:
    """`body` None: it held a secret, which is not kept."""

    status: int
    body: str | None


def find_answer(hub: Hub, asked: Once) -> Stored | None:
    """The answer that the call got before; None: it is new.

    Errors: Failure if the key was used for something else; Conflict while there is no answer.
    """
    with hub.db.read() as db:
        row = db.execute(select(once).where(once.c.id == asked.id, once.c.at > now(db) - KEPT_MS)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != asked.fingerprint:
        raise Failure("this Idempotency-Key was used for another call", hint="a new call needs a new key")
    if row.status is None:
        raise Conflict(
            "a call with this Idempotency-Key was carried out, and its answer is not here (yet)",
            hint="repeat it in a moment; if it stays so, a hub was killed then: look at what there is",
        )
    return Stored(row.status, row.body)


def keep_answer(hub: Hub, asked: Once, answer: Stored) -> None:
    """And drop what is too old."""
    with hub.db.write() as db:
        values = {"status": answer.status, "body": answer.body}
        db.execute(update(once).where(once.c.id == asked.id).values(**values))
        db.execute(delete(once).where(once.c.at <= now(db) - KEPT_MS))
