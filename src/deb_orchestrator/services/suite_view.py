"""What a suite sees: its own packages and those that it inherits, now or as of any past event.

Suites inherit as Koji's tags do. The *order* of a suite is itself, then its parents by priority, each followed by its
own parents; where two ways lead to one suite, the first counts. The first suite of the order that holds a source gives
all there is of it, even if a later one holds a higher version. The package list is asked in the same order: the first
rule for the source decides, then the first rule for `*`; without any, everything is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from deb_orchestrator.store.tables_publish import binary_package, source_package, suite_binary, suite_source
from deb_orchestrator.store.tables_suite import suite_parent, suite_rule
from debcore.errors import Failure

#: Every source that no rule names.
REST = "*"
#: The relations of a suite, each versioned by event.
RELATIONS: tuple[Table, ...] = (suite_source, suite_binary, suite_parent, suite_rule)
#: Suites in one order at most.
_MOST = 64


@dataclass(frozen=True, kw_only=True)
class View:
    """*suite* as of event *at* (None: now). `has_rules`: some rule counts; `takes_rest`: what the one for `*` says."""

    suite: str
    at: int | None
    order: tuple[str, ...]
    has_rules: bool = False
    takes_rest: bool = True


def active(table: Table, at: int | None) -> sa.ColumnElement[bool]:
    """The rows of a versioned *table* that count at event *at*, or now."""
    c = table.c
    if at is None:
        return c.revoked_event.is_(None)
    return (c.created_event <= at) & (c.revoked_event.is_(None) | (c.revoked_event > at))


def load_view(conn: Connection, suite_name: str, at: int | None = None) -> View:
    """Errors: Failure if it inherits from too many."""
    order = find_order(load_parents(conn, at), suite_name)
    rules = suite_rule.c
    has_rules = conn.execute(sa.select(rules.suite).where(rules.suite.in_(order), active(suite_rule, at)).limit(1))
    return View(
        suite=suite_name, at=at, order=order, has_rules=has_rules.first() is not None,
        takes_rest=_find_rule(conn, order, REST, at) != "blocked",
    )  # fmt: skip


def load_parents(conn: Connection, at: int | None = None) -> dict[str, list[str]]:
    """The parents of every suite that has any, in order of priority."""
    query = sa.select(suite_parent.c.suite, suite_parent.c.parent).where(active(suite_parent, at))
    parents: dict[str, list[str]] = {}
    for row in conn.execute(query.order_by(suite_parent.c.suite, suite_parent.c.priority)):
        parents.setdefault(row.suite, []).append(row.parent)
    return parents


def find_order(parents: Mapping[str, Sequence[str]], suite_name: str) -> tuple[str, ...]:
    """The order of a suite. Errors: Failure on a loop, naming it, and where it grows too long."""
    order: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            loop = " → ".join((*path[path.index(name) :], name))
            raise Failure(f"suites cannot inherit in a loop: {loop}", hint="leave one of these parents out")
        if name in order:
            return
        if len(order) == _MOST:
            raise Failure(f"{suite_name} would inherit from more than {_MOST - 1} suites", hint="merge some of them")
        order[name] = None
        for parent in parents.get(name, ()):
            visit(parent, (*path, name))

    visit(suite_name, ())
    return tuple(order)


def find_heirs(parents: Mapping[str, Sequence[str]], suite_name: str) -> tuple[str, ...]:
    """The suites that inherit from *suite_name*, directly or not, by name."""
    found: set[str] = set()
    todo = [suite_name]
    while todo:
        name = todo.pop()
        heirs = {heir for heir, above in parents.items() if name in above} - found
        found |= heirs
        todo += heirs
    return tuple(sorted(found))


def find_block(conn: Connection, suite_name: str, source: str) -> str:
    """Why the package list keeps *source* out of the suite, or ""."""
    view = load_view(conn, suite_name)
    rule = _find_rule(conn, view.order, source, None)
    if rule == "blocked":
        return f"the package list of {suite_name} blocks {source}"
    if rule is None and not view.takes_rest:
        return f"the package list of {suite_name} does not have {source}, and blocks all others"
    return ""


def _find_rule(conn: Connection, order: Sequence[str], source: str, at: int | None) -> str | None:
    rules = suite_rule.c
    mine = sa.select(rules.state).where(rules.suite.in_(order), rules.source == source, active(suite_rule, at))
    return conn.execute(mine.order_by(_rank(rules.suite, order)).limit(1)).scalar_one_or_none()


def select_content(view: View, kind: str, *columns: sa.ColumnElement[Any], few: bool = False) -> sa.Select[Any]:
    """*columns* of what the view's suite sees; `kind` is source or binary.

    Columns of `source_package` or `binary_package` may be asked for, and those of `suite_source` or `suite_binary`.
    *few*: the caller adds what leaves few packages, so that what hides them is looked up for each of these.
    """
    table, package = (suite_source, source_package) if kind == "source" else (suite_binary, binary_package)
    name = source_of(package)
    query = sa.select(*columns).join_from(table, package, table.c.package_id == package.c.id)
    query = query.where(active(table, view.at))
    if len(view.order) == 1:
        query = query.where(table.c.suite == view.suite)
    else:
        query = query.where(table.c.suite.in_(view.order), _is_first(view, table, name, few=few))
    return query.where(_is_taken(view, name)) if view.has_rules else query


def source_of(package: Table) -> sa.Column[Any]:
    """The column with the name of the source."""
    return package.c.source if "source" in package.c else package.c.name


def _is_first(view: View, table: Table, name: sa.Column[Any], *, few: bool) -> sa.ColumnElement[bool]:
    """No suite that stands earlier in the order holds the source.

    What those hold is found once, or, if the packages asked about are *few*, for each of them by an index.
    """
    first, *others = view.order
    tests = [table.c.suite == first]
    for n, suite in enumerate(others, start=1):
        held, package = table.alias(), name.table.alias()
        source = source_of(package)  # type: ignore[arg-type]  # an alias has the columns of its table
        query = sa.select(source).join_from(held, package, package.c.id == held.c.package_id)
        query = query.where(held.c.suite.in_(view.order[:n]), active(held, view.at))  # type: ignore[arg-type]
        hidden = query.where(source == name).correlate(name.table).exists() if few else name.in_(query)
        tests.append((table.c.suite == suite) & ~hidden)
    return sa.or_(*tests)


def _is_taken(view: View, name: sa.Column[Any]) -> sa.ColumnElement[bool]:
    rules = suite_rule.c
    first = sa.select(rules.state).where(rules.suite.in_(view.order), rules.source == name, active(suite_rule, view.at))
    first = first.order_by(_rank(rules.suite, view.order)).limit(1).correlate_except(suite_rule)
    rest = "allowed" if view.takes_rest else "blocked"
    return sa.func.coalesce(first.scalar_subquery(), rest) == "allowed"


def _rank(column: sa.ColumnElement[Any], order: Sequence[str]) -> sa.ColumnElement[int]:
    return sa.case({name: n for n, name in enumerate(order)}, value=column, else_=len(order))


def has_changed(conn: Connection, suite_name: str, since: int) -> bool:
    """True if anything that the suite sees, or by which it sees, has changed after event *since*."""
    order = find_order(load_parents(conn), suite_name)
    for table in RELATIONS:
        changed = sa.or_(table.c.created_event > since, table.c.revoked_event > since)
        if conn.execute(sa.select(table.c.suite).where(table.c.suite.in_(order), changed).limit(1)).first():
            return True
    return False
