"""What a suite sees, in pages by name, architecture, version and giving suite; a page costs what is on it.

The names of a page are walked in the order of their index, and what the suite sees of them is read by them. A suite
that has few packages is sorted whole instead: to walk the names of all others would cost more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.suite_view import View, active, has_changed, load_view, select_content, source_of
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.tables_publish import binary_package, source_package, suite_binary, suite_source
from debcore.errors import Failure
from debcore.hub.suites import Held, SuiteContent

#: The architecture that a source package is listed with.
SOURCE = "source"
KINDS = ((SOURCE, suite_source, source_package), ("binary", suite_binary, binary_package))
#: Packages up to which a suite is sorted whole.
_FEW = 2000
_ORDER = ("name", "arch", "version", "suite")


class Place(NamedTuple):
    """Where a page ends."""

    name: str
    arch: str
    version: str
    suite: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """As `str` gives it. Errors: Failure on anything else."""
        words = text.split(" ")
        if len(words) != len(cls._fields) or not all(words):
            raise Failure(f"no page begins after {text[:64]!r}", hint="give what `after` of the page before says")
        return cls(*words)

    def __str__(self) -> str:
        return " ".join(self)


def get_content(
    hub: Hub, name: str, at: int | None = None, *, part: str = "", after: str = "", offset: int = 0, limit: int = 1000
) -> SuiteContent:  # fmt: skip
    """What the suite sees as of event *at* (None: the last), by name; with *part*, what has it in its name.

    *after*: of the page before; *offset*: for who knows no better, at the cost of what is left out.
    Errors: NotFound; Failure on a future event.
    """
    place = Place.parse(after) if after else None
    with hub.db.read() as db:
        n = check_event(db, name, at)
        # What has not changed since is what is now, which indexes know best.
        view = load_view(db, name, n if has_changed(db, name, n) else None)
        if offset or _is_small(db, view):
            rows = _read(db, view, part, place, offset=offset, limit=limit + 1)
        else:
            rows = _walk(db, view, part, place, limit + 1)
    found = tuple(Held.model_validate(dict(row._mapping)) for row in rows[:limit])
    more = len(rows) > limit
    return SuiteContent(
        suite=name, event=n, packages=found, next=offset + limit if more and place is None else None,
        after=str(Place(*(getattr(found[-1], key) for key in _ORDER))) if more else None,
    )  # fmt: skip


def check_event(db: Connection, name: str, at: int | None) -> int:
    """The event *at*, or the last one. Errors: NotFound; Failure if it has not happened."""
    find_suite_row(db, name)
    last = last_event(db)
    if at is not None and not 0 <= at <= last:
        raise Failure(f"event {at} has not happened", hint=f"the last one is {last}")
    return last if at is None else at


def select_packages(view: View, kind: str, *, few: bool = False) -> sa.Select[Any]:
    """Name, version, architecture, source and giving suite of what is seen; *few*: as `select_content`."""
    table, package = next((table, package) for one, table, package in KINDS if one == kind)
    arch = sa.literal(SOURCE) if kind == SOURCE else package.c.arch
    columns = (package.c.name, package.c.version, arch.label("arch"), source_of(package).label("source"), table.c.suite)
    return select_content(view, kind, *columns, few=few)


def _is_small(db: Connection, view: View) -> bool:
    """True if the suites of its order hold few packages together."""
    held = [
        sa.select(table.c.package_id).where(*_in_order(view, table)).limit(_FEW + 1).subquery() for _, table, _ in KINDS
    ]
    both = sa.union_all(*(sa.select(one) for one in held)).subquery()
    return int(db.execute(sa.select(sa.func.count()).select_from(both)).scalar_one()) <= _FEW


def _walk(db: Connection, view: View, part: str, place: Place | None, limit: int) -> list[Row[Any]]:
    """The first *limit* after *place*."""
    rows: list[Row[Any]] = []
    low = place.name if place else ""
    left = limit
    while left:
        names = _find_names(db, view, part, low, above=place is None, limit=left)
        if names:
            rows += _read(db, view, part, place, names=names, limit=left)
            low, place = names[-1], None
        left = limit - len(rows) if len(names) == left else 0
    return rows


def _find_names(db: Connection, view: View, part: str, low: str, *, above: bool, limit: int) -> list[str]:
    """Names from *low* on, or *above* it, of which suites of the order hold something, though it may not be seen."""
    walks = []
    for _, table, package in KINDS:
        name = package.c.name
        held = sa.exists().where(table.c.package_id == package.c.id, *_in_order(view, table))
        walk = sa.select(name).distinct().where(name > low if above else name >= low, held).order_by(name).limit(limit)
        walks.append((walk.where(name.contains(part, autoescape=True)) if part else walk).subquery())
    both = sa.union(*(sa.select(walk) for walk in walks)).subquery()
    return list(db.execute(sa.select(both.c.name).order_by(both.c.name).limit(limit)).scalars())


def _in_order(view: View, table: Table) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.suite.in_(view.order), active(table, view.at)


def _read(
    db: Connection, view: View, part: str, place: Place | None, *, limit: int, offset: int = 0,
    names: Sequence[str] = (),
) -> Sequence[Row[Any]]:  # fmt: skip
    """In order; *names*: of these, which are all that have *part* in them from the first to the last."""
    pages = []
    for kind, _, package in KINDS:
        query, name = select_packages(view, kind, few=bool(names)), package.c.name
        if names:
            mine = name.in_(names) if part else name.between(names[0], names[-1])
            query = query.where(package.c.id.in_(sa.select(package.c.id).where(mine)))
        elif part:
            query = query.where(name.contains(part, autoescape=True))
        pages.append(query)
    every = sa.union_all(*pages).subquery()
    order = [every.c[key] for key in _ORDER]
    query = sa.select(every).order_by(*order).offset(offset).limit(limit)
    if place is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*place))
    return db.execute(query).all()
