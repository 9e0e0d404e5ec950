"""The event log as people read it: newest first, by type, without what the reader may not see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from deb_orchestrator.services import access
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.queries import read_events_at
from deb_orchestrator.store.tables import event
from deb_orchestrator.store.tables_domain import build, request, target
from debcore.hub.envelope import DETAILS
from debcore.hub.model import Event


@dataclass(frozen=True)
class Events:
    """Newest first. `older`: what `before` is of the next page; None: there is none."""

    events: tuple[Event, ...]
    older: int | None = None


def list_newest(hub: Hub, who: Principal, *, type_: str = "", before: int | None = None, limit: int = 100) -> Events:
    """At most *limit*, those of hidden suites left out. *type_*: whole; an unknown one has no events."""
    query: Select[Any] = (
        select(event.c.n, event.c.build, event.c.request, event.c.data).order_by(event.c.n.desc()).limit(limit + 1)
    )
    if type_:
        query = query.where(event.c.type == type_)
    if before is not None:
        query = query.where(event.c.n < before)
    with hub.db.read() as db:
        rows = db.execute(query).all()
        shown = _leave_out(db, rows[:limit], access.list_hidden(db, who))
    found = read_events_at(hub, shown)
    return Events(tuple(found), rows[limit - 1].n if len(rows) > limit else None)


def list_types() -> list[str]:
    """All types of events that there are."""
    return sorted(DETAILS)


def _leave_out(db: Connection, rows: Sequence[Row[Any]], hidden: Iterable[str]) -> list[int]:
    """The numbers of those that are of no hidden suite."""
    if not hidden:
        return [row.n for row in rows]
    builds = _load(db, select(build.c.id, build.c.suite).where(build.c.id.in_({row.build for row in rows} - {None})))
    asked = select(request.c.id, target.c.suite).join(target, target.c.name == request.c.target)
    requests = _load(db, asked.where(request.c.id.in_({row.request for row in rows} - {None})))
    targets = _load(db, select(target.c.name, target.c.suite))
    return [
        row.n
        for row in rows
        if not any(access.is_private(name, hidden) for name in _suites_of(row, builds, requests, targets))
    ]


def _suites_of(row: Row[Any], builds: dict[Any, str], requests: dict[Any, str], targets: dict[Any, str]) -> set[str]:
    named = row.data.get("suite")
    found = {
        builds.get(row.build), requests.get(row.request), targets.get(str(row.data.get("target"))),
        named if isinstance(named, str) else None,
    }  # fmt: skip
    return {one for one in found if one is not None}


def _load(db: Connection, query: Any) -> dict[Any, str]:
    return {row[0]: row[1] for row in db.execute(query)}
