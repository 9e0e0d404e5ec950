"""The event log: numbers are gap-free and in the order of commits, on both databases.

The counter's row is locked from the moment a number is taken until the commit, so whoever sees event N sees all
events below it, and none appears later. Take numbers last: until the commit every other writer of events waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables import event, event_counter

#: Hinted at after a commit with events.
TOPIC = "event"


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """A domain fact. `data` is JSON; `by`: the person or program whose will it was, told in the data."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    request: str | None = None
    build: int | None = None
    arch: str | None = None
    attempt: int | None = None
    job: int | None = None
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A stored event. `at` is in milliseconds since the epoch."""

    n: int
    at: int
    type: str
    data: dict[str, Any]
    request: str | None
    build: int | None
    arch: str | None
    attempt: int | None
    job: int | None


def append_events(db: Connection, events: Sequence[NewEvent]) -> int:
    """Store *events* in order and return the number of the last one. Do this last in the transaction."""
    if not events:
        return last_event(db)
    last = db.execute(
        update(event_counter).values(n=event_counter.c.n + len(events)).returning(event_counter.c.n)
    ).scalar_one()
    first, time = last - len(events) + 1, now(db)
    db.execute(
        insert(event),
        [
            {
                "n": first + i,
                "at": time,
                "type": new.type,
                "data": new.data | ({"by": new.by} if new.by else {}),
                "request": new.request,
                "build": new.build,
                "arch": new.arch,
                "attempt": new.attempt,
                "job_id": new.job,
            }
            for i, new in enumerate(events)
        ],
    )
    hint(db, TOPIC)
    return int(last)


def last_event(db: Connection) -> int:
    """The number of the last event, 0 if there is none."""
    return int(db.execute(select(event_counter.c.n)).scalar_one())


def read_events(
    db: Connection, after: int, limit: int = 1000, *, request: str | None = None,
    where: ColumnElement[bool] | None = None,
) -> list[Event]:  # fmt: skip
    """Events above *after*, in order, at most *limit*; only those of *request* and those *where* it is true."""
    query = select(event).where(event.c.n > after).order_by(event.c.n).limit(limit)
    if request is not None:
        query = query.where(event.c.request == request)
    if where is not None:
        query = query.where(where)
    return [
        Event(
            n=row.n,
            at=row.at,
            type=row.type,
            data=row.data,
            request=row.request,
            build=row.build,
            arch=row.arch,
            attempt=row.attempt,
            job=row.job_id,
        )
        for row in db.execute(query)
    ]
