"""What changed in a suite, package, target or host, by event, and whose will it was: Koji's list-history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services import access
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.queries import read_events_at
from deb_orchestrator.services.sight import load_sight
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.tables import event
from deb_orchestrator.store.tables_domain import build, request, source
from deb_orchestrator.store.tables_publish import source_package, suite_source
from deb_orchestrator.store.tables_suite import suite_rule
from debcore.hub.model import Event
from debcore.hub.records import Change, History

#: Events that one call looks at: what is rare is found in several.
WINDOW = 50_000


@dataclass(frozen=True, kw_only=True)
class WantedChanges:
    """What was changed, and by whom; all that is not None counts. `before`: an event's number."""

    suite: str | None = None
    package: str | None = None
    target: str | None = None
    host: str | None = None
    who: str | None = None
    before: int | None = None


def list_changes(hub: Hub, who: Principal, wanted: WantedChanges, *, limit: int = 50) -> History:
    """Errors: NotFound, of a suite that *who* may not read."""
    with hub.db.read() as db:
        if wanted.suite is not None:
            access.check_read(db, who, wanted.suite)
            find_suite_row(db, wanted.suite)
        top = last_event(db) + 1 if wanted.before is None else wanted.before
        floor = max(0, top - WINDOW)
        query = sa.select(event.c.n).where(event.c.n < top, event.c.n >= floor, *_tests(wanted))
        query = query.where(load_sight(db, who).events()).order_by(event.c.n.desc()).limit(limit + 1)
        numbers = list(db.execute(query).scalars())
        events = read_events_at(hub, numbers[:limit])
        principals = _load_principals(db, events)
    changes = tuple(Change(**one.model_dump(), who=principals.get(one.n, "")) for one in events)
    older = changes[-1].n if len(numbers) > limit else floor
    return History(changes=changes, older=older if older > 1 else None)


def _tests(wanted: WantedChanges) -> list[ColumnElement[bool]]:
    tests = []
    if wanted.suite is not None:
        tests.append(_said("suite") == wanted.suite)
    if wanted.package is not None:
        tests.append(_of_package(wanted.package))
    if wanted.target is not None:
        tests.append(_of_target(wanted.target))
    if wanted.host is not None:
        tests.append(_said("agent") == wanted.host)
    if wanted.who is not None:
        mine = sa.select(request.c.id).where(request.c.principal == wanted.who)
        tests.append((_said("by") == wanted.who) | (_said("uploader") == wanted.who) | event.c.request.in_(mine))
    return tests


def _said(name: str) -> ColumnElement[str]:
    found: ColumnElement[str] = event.c.data[name].as_string()
    return found


def _of_package(name: str) -> ColumnElement[bool]:
    builds = sa.select(build.c.id).join(source, source.c.id == build.c.source_id).where(source.c.name == name)
    ids = sa.select(source_package.c.id).where(source_package.c.name == name)
    moved = [
        sa.select(number).where(suite_source.c.package_id.in_(ids), number.is_not(None))
        for number in (suite_source.c.created_event, suite_source.c.revoked_event)
    ]
    rules = sa.select(suite_rule.c.created_event).where(suite_rule.c.source == name)
    return sa.or_(
        event.c.build.in_(builds), event.c.n.in_(sa.union(*moved, rules)), _said("source") == name,
    )  # fmt: skip


def _of_target(name: str) -> ColumnElement[bool]:
    mine = sa.select(request.c.id).where(request.c.target == name)
    named = event.c.type.like("target.%") & (_said("name") == name)
    return sa.or_(named, _said("target") == name, event.c.request.in_(mine))


def _load_principals(db: Connection, events: Iterable[Event]) -> dict[int, str]:
    """By event: who is said in it, or asked for what it is about."""
    asked = {one.request for one in events if one.request is not None}
    columns: Any = (request.c.id, request.c.principal)
    owners = {row.id: row.principal for row in db.execute(sa.select(*columns).where(request.c.id.in_(asked)))}
    return {one.n: str(_said_in(one) or owners.get(one.request or "", "")) for one in events}


def _said_in(one: Event) -> Any:
    return one.data.get("by") or one.data.get("uploader")
