"""Suites as they were, as repositories that stay: by event or by time, without Valid-Until.

A snapshot is a suite of its own, NAME@EVENT, in Release too: apt tells it from NAME, so that an old state signed for
good cannot be passed off as the present one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import rely_on_packages
from deb_orchestrator.services.suite_view import RELATIONS, find_order, load_parents, load_view, select_content
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables import event as event_table
from deb_orchestrator.store.tables_publish import binary_package, source_package, suite, suite_snapshot
from debcore.aptrepo.paths import base_of
from debcore.errors import Failure
from debcore.hub.repos import Snapshot, SnapshotAsk


def make_snapshot(hub: Hub, who: Principal, name: str, ask: SnapshotAsk, *, base_url: str) -> Snapshot:
    """Make it unless it is there. Two moments between which nothing changed are one snapshot.

    Errors: NotFound: no such suite, or nothing in it then; Conflict if the suite has no key yet; Failure if some of
    what it held then was collected.
    """
    with hub.db.write() as db:
        base = _find_base(db, name)
        if base.public_key is None:
            raise Conflict(f"suite {name} has nothing published yet", hint="wait for its first publication")
        event = _find_change(db, name, _find_event(db, ask))
        snapshot = f"{name}@{event}"
        _rely_on_content(db, hub, name, event)
        values = {"name": snapshot, "codename": snapshot, "created_at": base.created_at, "valid_s": None, "live": 0}
        db.execute(insert_new(db, suite).values({**base._mapping, **values}))  # there, if it was made and dropped
        row = {"suite": snapshot, "base": name, "event": event, "created_at": now(db)}
        if db.execute(insert_new(db, suite_snapshot).values(row).returning(suite_snapshot.c.suite)).first() is not None:
            enqueue_publish(db, snapshot)
            log_audit(db, who, "suite.snapshot", snapshot)
        return _read(_find(db, name, suite_snapshot.c.suite == snapshot)[0], base_url)


def _rely_on_content(db: Connection, hub: Hub, name: str, event: int) -> None:
    view = load_view(db, name, event)
    for kind, package in (("source", source_package), ("binary", binary_package)):
        ids = list(db.execute(select_content(view, kind, package.c.id)).scalars())
        rely_on_packages(db, hub.blobs, package, ids)


def list_snapshots(hub: Hub, name: str, *, base_url: str) -> list[Snapshot]:
    """By event. Errors: NotFound."""
    with hub.db.read() as db:
        _find_base(db, name)
        return [_read(row, base_url) for row in _find(db, name, sa.true())]


def _find_base(db: Connection, name: str) -> sa.Row[Any]:
    """Errors: NotFound; snapshots have none of their own."""
    row = find_suite_row(db, name)
    if base_of(name) != name:
        raise NotFound(f"{name[:120]} is a snapshot", hint="snapshots are made of suites")
    return row


def _find(db: Connection, name: str, wanted: sa.ColumnElement[bool]) -> list[sa.Row[Any]]:
    query = (
        sa.select(suite_snapshot, suite.c.live, event_table.c.at)
        .join(suite, suite.c.name == suite_snapshot.c.suite)
        .join(event_table, event_table.c.n == suite_snapshot.c.event)
        .where(suite_snapshot.c.base == name, wanted)
    )
    return list(db.execute(query.order_by(suite_snapshot.c.event)))


def _find_event(db: Connection, ask: SnapshotAsk) -> int | None:
    """The event that is asked for; None: the newest."""
    if ask.event is not None and ask.at is not None:
        raise Failure("a snapshot is by event or by time", hint="leave one of them out")
    if ask.at is None:
        if ask.event is not None and ask.event > (last := last_event(db)):
            raise Failure(f"event {ask.event} has not happened", hint=f"the last one is {last}")
        return ask.event
    if ask.at.tzinfo is None:
        raise Failure("the time has no zone", hint="such as 2026-03-14T12:00:00Z")
    if ask.at.timestamp() * 1000 > now(db):
        raise Failure(
            f"{ask.at:%Y-%m-%d %H:%M:%S %Z} is in the future", hint="leave the time out for the present state"
        )
    before = sa.select(sa.func.max(event_table.c.n)).where(event_table.c.at <= int(ask.at.timestamp() * 1000))
    return db.execute(before).scalar() or 0


def _find_change(db: Connection, name: str, event: int | None) -> int:
    """The event, up to *event*, since which the suite was as it was at *event*."""
    order = find_order(load_parents(db, event), name)
    found = 0
    for table in RELATIONS:
        for column in (table.c.created_event, table.c.revoked_event):
            query = sa.select(sa.func.max(column)).where(table.c.suite.in_(order))
            query = query if event is None else query.where(column <= event)
            found = max(found, db.execute(query).scalar() or 0)
    if not found:
        raise NotFound(f"suite {name} held nothing then", hint="deb-orchestrator suite history shows what changed when")
    return found


def _read(row: sa.Row[Any], base_url: str) -> Snapshot:
    return Snapshot(
        name=row.suite, suite=row.base, event=row.event, at=as_datetime(row.at), live=row.live > 0,
        apt_uri=f"{base_url.rstrip('/')}/apt",
    )  # fmt: skip
