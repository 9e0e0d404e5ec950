"""Suites as an administrator sets them: made, given parents, given a package list. Each change is an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.services import publish
from deb_orchestrator.services.access import check_parents
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.suite_view import REST, active, find_order, load_parents
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.store.tables_publish import suite
from deb_orchestrator.store.tables_suite import suite_parent, suite_rule
from debcore.errors import Failure
from debcore.hub.suites import Inheritance, Rule, RuleAsk, SuiteAsk


def make_suite(hub: Hub, who: Principal, name: str, wanted: SuiteAsk) -> None:
    """Make the suite, with its parents; its first generation is asked for.

    Errors: Conflict if it exists with other settings; NotFound (a parent); Failure on a bad name.
    """
    with hub.db.write() as db:
        new = publish.NewSuite(name=name, components=wanted.components, arches=wanted.arches, valid_s=wanted.valid_s)
        if not publish.ensure_suite(db, new):
            row = find_suite_row(db, name)
            same = (tuple(row.components), tuple(row.arches), row.valid_s) == (
                wanted.components, wanted.arches, wanted.valid_s
            ) and load_parents(db).get(name, []) == list(wanted.parents)  # fmt: skip
            if not same:
                raise Conflict(f"suite {name} exists with other settings", hint="choose another name")
            return
        log_audit(db, who, "suite.make", name, wanted.model_dump(mode="json"))
        change = plan_parents(db, name, wanted.parents) if wanted.parents else None
        enqueue_publish(db, name)
        data = {"suite": name, **wanted.model_dump(mode="json")}
        n = append_events(db, [NewEvent(type="suite.made", data=data, by=who.name)])
        if change is not None:
            change(n)


def set_parents(hub: Hub, who: Principal, name: str, parents: Sequence[str]) -> None:
    """*name* inherits from *parents* in this order, and from nobody else.

    Errors: NotFound; Failure on a loop, or one named twice.
    """
    with hub.db.write() as db:
        change = plan_parents(db, name, parents)
        if change is None:
            return
        log_audit(db, who, "suite.inherit", name, {"parents": list(parents)})
        enqueue_publish(db, name)
        data = {"suite": name, "parents": list(parents)}
        change(append_events(db, [NewEvent(type="suite.inherits", data=data, by=who.name)]))


def plan_parents(db: Connection, name: str, parents: Sequence[str]) -> Callable[[int], None] | None:
    """What to do once the event has its number; None if nothing changes. All suites are locked against new loops."""
    known = set(db.execute(sa.select(suite.c.name).order_by(suite.c.name).with_for_update()).scalars())
    for one in (name, *parents):
        if one not in known:
            raise NotFound(f"there is no suite {one[:64]}", hint="list them with: deb-orchestrator suite list")
    if len(set(parents)) != len(parents):
        raise Failure("a suite can be a parent only once", hint="the order of the parents is their priority")
    every = load_parents(db)
    if every.get(name, []) == list(parents):
        return None
    for heir in (name, *every):
        find_order({**every, name: list(parents)}, heir)
    check_parents(db, name, parents)
    rows = [{"parent": parent, "priority": n} for n, parent in enumerate(parents)]
    return lambda n: replace_rows(db, suite_parent, name, rows, n)


def set_rule(hub: Hub, who: Principal, name: str, source: str, wanted: RuleAsk | None) -> None:
    """What the suite takes of *source* (`*`: of all that have no rule); None removes the rule.

    Errors: NotFound; Failure if *source* is no name of a source.
    """
    with hub.db.write() as db:
        find_suite_row(db, name, lock=True)
        rows = {row.source: {"source": row.source, "state": row.state, "owner": row.owner} for row in _rules(db, name)}
        before = dict(rows)
        if wanted is None:
            if rows.pop(source, None) is None:
                raise NotFound(f"suite {name} has no rule for {source[:64]}")
        else:
            rows[source] = {"source": source, "state": wanted.state, "owner": wanted.owner}
        if rows == before:
            return
        data = {"suite": name, "source": source, **(wanted.model_dump(mode="json") if wanted else {"state": None})}
        log_audit(db, who, "suite.rule", name, data)
        enqueue_publish(db, name)
        n = append_events(db, [NewEvent(type="suite.rule", data=data, by=who.name)])
        replace_rows(db, suite_rule, name, list(rows.values()), n)


def replace_rows(db: Connection, table: sa.Table, name: str, rows: Sequence[dict[str, Any]], n: int) -> None:
    """From event *n* on the suite has exactly *rows* in a versioned *table*; rows that stay are left alone."""
    keys = [c.name for c in table.c if c.name not in ("suite", "created_event", "revoked_event")]
    wanted = {tuple(row[key] for key in keys) for row in rows}
    columns = [table.c[key] for key in keys]
    mine = (table.c.suite == name) & active(table, None)
    held = {tuple(row) for row in db.execute(sa.select(*columns).where(mine))}
    for gone in held - wanted:
        this = sa.and_(mine, *(column == value for column, value in zip(columns, gone, strict=True)))
        db.execute(table.update().where(this).values(revoked_event=n))
    come = sorted(wanted - held)
    if come:
        values = [dict(zip(keys, one, strict=True)) | {"suite": name, "created_event": n} for one in come]
        db.execute(table.insert(), values)


def find_suite_row(db: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    """Errors: NotFound."""
    query = sa.select(suite).where(suite.c.name == name)
    row = db.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"there is no suite {name[:64]}", hint="list them with: deb-orchestrator suite list")
    return row


def get_inheritance(hub: Hub, name: str, at: int | None = None) -> Inheritance:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, name)
        parents = load_parents(db, at)
    return Inheritance(suite=name, parents=tuple(parents.get(name, ())), order=find_order(parents, name))


def list_rules(hub: Hub, name: str, at: int | None = None) -> list[Rule]:
    """The suite's own rules and those that it inherits, each source once: what counts. Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, name)
        order = find_order(load_parents(db, at), name)
        rules: dict[str, Rule] = {}
        for one in order:
            for row in _rules(db, one, at):
                found = Rule(source=row.source, state=row.state, owner=row.owner, suite=one)
                rules.setdefault(row.source, found)
    return sorted(rules.values(), key=lambda rule: (rule.source == REST, rule.source))


def _rules(db: Connection, name: str, at: int | None = None) -> Sequence[Row[Any]]:
    return db.execute(sa.select(suite_rule).where(suite_rule.c.suite == name, active(suite_rule, at))).all()
