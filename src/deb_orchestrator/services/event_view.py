"""The event log as people read it: newest first, by type, without what the reader may not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.queries import read_events_at
from deb_orchestrator.services.sight import load_sight
from deb_orchestrator.store.tables import event
from debcore.hub.envelope import DETAILS
from debcore.hub.model import Event


@dataclass(frozen=True)
class Events:
    """Newest first. `older`: what `before` is of the next page; None: there is none."""

    events: tuple[Event, ...]
    older: int | None = None


def list_newest(hub: Hub, who: Principal, *, type_: str = "", before: int | None = None, limit: int = 100) -> Events:
    """At most *limit*, those of hidden suites left out. *type_*: whole; an unknown one has no events."""
    query: Select[Any] = select(event.c.n).order_by(event.c.n.desc()).limit(limit + 1)
    if type_:
        query = query.where(event.c.type == type_)
    if before is not None:
        query = query.where(event.c.n < before)
    with hub.db.read() as db:
        rows = db.execute(query.where(load_sight(db, who).events())).all()
    found = read_events_at(hub, [row.n for row in rows[:limit]])
    return Events(tuple(found), rows[limit - 1].n if len(rows) > limit else None)


def list_types() -> list[str]:
    """All types of events that there are."""
    return sorted(DETAILS)
