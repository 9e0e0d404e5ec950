"""What suites held: history, differences, and going back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from deb_orchestrator.dispatch.events import NewEvent, append_events, last_event
from deb_orchestrator.services.hub import Hub, Principal, log_audit
from deb_orchestrator.services.keeping import rely_on_packages
from deb_orchestrator.services.publish_members import Holding, chunks
from deb_orchestrator.services.suite_content import KINDS, SOURCE, check_event, select_packages
from deb_orchestrator.services.suite_view import RELATIONS, active, load_parents, load_view, source_of
from deb_orchestrator.services.suites import find_suite_row, plan_parents, replace_rows
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables import event
from deb_orchestrator.store.tables_publish import binary_package, source_package, suite_binary, suite_source
from deb_orchestrator.store.tables_suite import suite_rule
from debcore.hub.suites import Moved, Rule, SuiteChange, SuiteDiff

#: Packages that moved from which on a difference is found by comparing all.
_MANY = 5000
_ENDS = ("created_event", "revoked_event")
#: Name and architecture of a package; a source's architecture is this word.
Key = tuple[str, str]


def diff_suite(hub: Hub, name: str, old: int, new: int | None = None) -> SuiteDiff:
    """What changed for users of the suite between two events. Errors: NotFound; Failure on a future event."""
    with hub.db.read() as db:
        ends = (check_event(db, name, old), check_event(db, name, new))
        orders = [load_view(db, name, n).order for n in ends]
        touched = _find_touched(db, orders[0], *sorted(ends)) if orders[0] == orders[1] else None
        before, after = (_load_versions(db, name, n, touched) for n in ends)
    return SuiteDiff(
        suite=name, old=ends[0], new=ends[1], packages=find_moves(before, after), order_before=orders[0],
        order_after=orders[1],
    )  # fmt: skip


def find_moves(before: dict[Key, str], after: dict[Key, str]) -> tuple[Moved, ...]:
    """What came, left or has another version, by name."""
    return tuple(
        Moved(name=key[0], arch=key[1], old=before.get(key, ""), new=after.get(key, ""))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def list_history(
    hub: Hub, name: str, *, before: int | None = None, limit: int = 50, most: int | None = None
) -> list[SuiteChange]:
    """The suite's own changes, newest first; *before* is an event. *most*: packages of a change that are told.

    Errors: NotFound.
    """
    with hub.db.read() as db:
        find_suite_row(db, name)
        numbers = _list_numbers(db, name, before, limit)
        # Without the events' data, which name each package of a change.
        told: sa.Select[Any] = sa.select(event.c.n, event.c.at, event.c.type, event.c.build).where(
            event.c.n.in_(numbers)
        )
        rows = db.execute(told.order_by(event.c.n.desc())).all()
        return [_change(db, name, row, most) for row in rows]


def revert_suite(hub: Hub, who: Principal, name: str, to: int) -> int:
    """From a new event on, the suite's own packages, parents and rules are those of event *to*; the new event.

    What it inherits is today's. The one way in which a suite goes backwards: apt on its users' machines does not
    downgrade by itself. Errors: NotFound; Failure on a future event, if today's suites would make a loop, or
    if some of what was there then was collected.
    """
    with hub.db.write() as db:
        now_parents = plan_parents(db, name, load_parents(db, check_event(db, name, to)).get(name, []))
        held = {kind: Holding(table, name) for kind, table, _ in KINDS}
        plans = {kind: _plan(db, held[kind], to) for kind in held}
        rules = [{"source": r.source, "state": r.state, "owner": r.owner} for r in _load(db, suite_rule, name, to)]
        current = [{"source": r.source, "state": r.state, "owner": r.owner} for r in _load(db, suite_rule, name, None)]
        same_rules = sorted(map(str, rules)) == sorted(map(str, current))
        if now_parents is None and same_rules and not any(gone or come for gone, come in plans.values()):
            return last_event(db)
        for kind, _, package in KINDS:
            rely_on_packages(db, hub.blobs, package, plans[kind][1])
        log_audit(db, who, "suite.revert", name, {"to": to})
        enqueue_publish(db, name)
        n = append_events(db, [NewEvent(type="suite.reverted", data={"suite": name, "to": to}, by=who.name)])
        for kind, (gone, come) in plans.items():
            held[kind].change(db, n, gone=gone, come=come)
        replace_rows(db, suite_rule, name, rules, n)
        if now_parents is not None:
            now_parents(n)
    return n


def _plan(db: Connection, held: Holding, to: int) -> tuple[list[int], list[int]]:
    """Ids that go and ids that come."""
    then, today = ({row.package_id for row in _load(db, held.table, held.suite, at)} for at in (to, None))
    return sorted(today - then), sorted(then - today)


def _find_touched(db: Connection, order: Sequence[str], since: int, until: int) -> frozenset[str] | None:
    """The sources of which anything came or left between two events; None if it may be any, or is very many."""
    names: set[str] = set()
    for table in (suite_rule, suite_source, suite_binary):
        c = table.c
        moved = [(column > since) & (column <= until) for column in (c.created_event, c.revoked_event)]
        column = c.source if table is suite_rule else c.package_id
        query = sa.union(*(sa.select(column).where(c.suite.in_(order), test) for test in moved)).limit(_MANY)
        found = db.execute(query).scalars().all()
        if (found and table is suite_rule) or len(found) == _MANY:
            return None
        package = source_package if table is suite_source else binary_package
        for chunk in chunks(found):
            names |= set(db.execute(sa.select(source_of(package)).where(package.c.id.in_(chunk))).scalars())
    return frozenset(names)


def _load_versions(db: Connection, name: str, at: int, sources: frozenset[str] | None) -> dict[Key, str]:
    """Of all packages, or those of *sources* only."""
    queries = [(select_packages(load_view(db, name, at), kind), source_of(package)) for kind, _, package in KINDS]
    if sources is None:
        return _versions(row for query, _ in queries for row in db.execute(query))
    return _versions(
        row
        for query, source in queries
        for chunk in chunks(sorted(sources))
        for row in db.execute(query.where(source.in_(chunk)))
    )


def _versions(rows: Iterable[Row[Any]]) -> dict[Key, str]:
    """Several versions of one package, as side by side in inherited suites, are one text."""
    found: dict[Key, list[str]] = {}
    for row in rows:
        found.setdefault((row.name, row.arch), []).append(row.version)
    return {key: ", ".join(sorted(versions)) for key, versions in found.items()}


def _load(db: Connection, table: Table, name: str, at: int | None) -> Sequence[Row[Any]]:
    return db.execute(sa.select(table).where(table.c.suite == name, active(table, at))).all()


def _list_numbers(db: Connection, name: str, before: int | None, limit: int) -> list[int]:
    """The last *limit* events, below *before*, at which anything of the suite's own came or left; newest first."""
    steps = [_step_down(getattr(table.c, end), name, before, limit) for table in RELATIONS for end in _ENDS]
    every = sa.union(*(sa.select(one.c.n) for one in steps)).subquery()
    return list(db.execute(sa.select(every.c.n).order_by(every.c.n.desc()).limit(limit)).scalars())


def _step_down(column: sa.Column[int], name: str, before: int | None, limit: int) -> sa.Subquery:
    """The values of *column* of the suite's rows, each once, the highest first.

    From each to the next by an index, for an event may have moved very many packages.
    """
    mine = sa.select(sa.func.max(column)).where(column.table.c.suite == name)
    top = mine if before is None else mine.where(column < before)
    values = top.with_only_columns(sa.func.max(column).label("n")).cte(recursive=True)
    lower = mine.where(column < values.c.n).correlate(values).scalar_subquery()
    values = values.union_all(sa.select(lower).where(values.c.n.is_not(None)))
    return sa.select(values.c.n).where(values.c.n.is_not(None)).limit(limit).subquery()


def _change(db: Connection, name: str, row: Row[Any], most: int | None) -> SuiteChange:
    ends, more = [], 0
    for end in (1, 0):
        moved: list[Row[Any]] = []
        for kind in KINDS:
            found, left = _load_moved(db, name, kind, row.n, end, most)
            moved += found
            more = max(more, left)
        ends.append(_versions(moved))
    parents = (load_parents(db, row.n - 1).get(name, []), load_parents(db, row.n).get(name, []))
    come = db.execute(sa.select(suite_rule).where(suite_rule.c.suite == name, suite_rule.c.created_event == row.n))
    return SuiteChange(
        event=row.n, at=as_datetime(row.at), type=row.type, build=row.build, packages=find_moves(*ends), more=more,
        parents=tuple(parents[1]) if parents[0] != parents[1] else None,
        rules=tuple(Rule(source=one.source, state=one.state, owner=one.owner, suite=name) for one in come),
    )  # fmt: skip


def _load_moved(
    db: Connection, name: str, kind: tuple[str, Table, Table], n: int, gone: int, most: int | None
) -> tuple[Sequence[Row[Any]], int]:
    """What came at the event or, *gone*, left, and how many more there are than *most*."""
    word, table, package = kind
    arch = sa.literal(SOURCE) if word == SOURCE else package.c.arch
    ended = table.c.revoked_event if gone else table.c.created_event
    query: sa.Select[Any] = sa.select(package.c.name, package.c.version, arch.label("arch"))
    query = query.join(table, table.c.package_id == package.c.id).where(table.c.suite == name, ended == n)
    number = db.execute(sa.select(sa.func.count()).where(table.c.suite == name, ended == n)).scalar_one()
    left = 0 if most is None else max(0, number - most)
    # A change that large came as a whole, so that any part of it tells what it was.
    return db.execute(query.limit(most) if left else query).all(), left
