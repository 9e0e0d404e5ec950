"""Sources and architectures: where each stands. As buildd's status pages, for a target or for one source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select

from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.lists import ArchLine, BuildLine, read_lines
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.services.suite_view import active
from deb_orchestrator.store.tables_domain import build, build_arch, source
from deb_orchestrator.store.tables_publish import publication, source_package, suite_snapshot, suite_source
from debcore.hub.model import BuildState

#: Sources that are looked at for one page: a state is worked out, not stored.
_MOST = 2000
#: What needs nobody's attention.
GOOD = frozenset({BuildState.INSTALLED, BuildState.KEPT})


@dataclass(frozen=True)
class Cell:
    """The newest build of a source for one architecture."""

    build: BuildLine
    arch: ArchLine


@dataclass(frozen=True)
class RowOf:
    """`name`: of a source or of a target; cells by architecture. `version`: that most cells have, the newest first."""

    name: str
    version: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Matrix:
    """`after`: name to go on from; None: that was all."""

    arches: tuple[str, ...]
    rows: tuple[RowOf, ...]
    after: str | None = None


def make_matrix(
    hub: Hub, who: Principal, target: str, *, part: str = "", bad: bool = False, after: str = "", limit: int = 100
) -> Matrix:
    """Sources of *target* by name. *part*: of the name; *bad*: only those with an architecture that is not installed.

    Scratch builds do not count. A target whose suite *who* may not read has nothing.
    """
    with hub.db.read() as db:
        found: list[RowOf] = []
        looked = 0
        while looked < _MOST:
            query = _names(load_sight(db, who), target, part, after, bad=bad)
            names = list(db.execute(query.limit(limit + 1)).scalars())
            for row in _load_rows(db, target, names[:limit]):
                if len(found) == limit:
                    return Matrix(_arches(found), tuple(found), found[-1].name)
                if not bad or any(cell.arch.state not in GOOD for cell in row.cells.values()):
                    found.append(row)
            if len(names) <= limit:
                return Matrix(_arches(found), tuple(found))
            after, looked = names[limit - 1], looked + limit
    return Matrix(_arches(found), tuple(found), after)


def _names(sight: Sight, target: str, part: str, after: str, *, bad: bool) -> Select[Any]:
    mine = (build.c.target == target) & build.c.scratch.is_(False) & sight.builds()
    if bad:
        mine &= _may_be_bad()
    # In the order of an index on names, so that a page costs a page and not the archive.
    query = select(source.c.name).distinct().order_by(source.c.name)
    query = query.where(exists().where(build.c.source_id == source.c.id, mine))
    if part:
        query = query.where(source.c.name.contains(part, autoescape=True))
    return query.where(source.c.name > after) if after else query


def _may_be_bad() -> ColumnElement[bool]:
    """What each build with an architecture that is not installed has, as domain/builds.py says; others may too."""
    live = select(func.max(publication.c.event)).where(
        publication.c.suite == build.c.suite, publication.c.state == "live"
    )
    far = func.coalesce(live.correlate(build).scalar_subquery(), -1)
    lacks = exists().where(build_arch.c.build_id == build.c.id, build_arch.c.imported.is_(False))
    refused = exists().where(build_arch.c.build_id == build.c.id, build_arch.c.refused.is_not(None))
    return build.c.added_event.is_(None) | (build.c.added_event > far) | lacks | refused


def _load_rows(db: Connection, target: str, names: list[str]) -> list[RowOf]:
    newest = _newest().where(build.c.target == target, build.c.scratch.is_(False), source.c.name.in_(names))
    rows = db.execute(newest.group_by(source.c.name, build.c.target, build_arch.c.arch)).all()
    lines = {line.id: line for line in read_lines(db, {row.id for row in rows})}
    cells: dict[str, dict[str, Cell]] = {}
    for row in rows:
        cells.setdefault(row.name, {})[row.arch] = _cell(lines, row)
    return [_row(name, cells[name]) for name in names]


def _newest() -> Select[Any]:
    columns = (source.c.name, build.c.target, build_arch.c.arch, func.max(build.c.id).label("id"))
    joined = select(*columns).join(build, build.c.source_id == source.c.id)
    return joined.join(build_arch, build_arch.c.build_id == build.c.id)


def _cell(lines: Mapping[int, BuildLine], row: Row[Any]) -> Cell:
    line = lines[row.id]
    return Cell(line, next(one for one in line.arches if one.arch == row.arch))


def _row(name: str, cells: Mapping[str, Cell]) -> RowOf:
    newest = max(cells.values(), key=lambda cell: cell.build.id)
    return RowOf(name, newest.build.version, dict(sorted(cells.items())))


def _arches(rows: Iterable[RowOf]) -> tuple[str, ...]:
    return tuple(sorted({arch for row in rows for arch in row.cells}))


@dataclass(frozen=True)
class Held:
    """A suite that holds the source itself, and in which version."""

    suite: str
    version: str


@dataclass(frozen=True)
class SourcePage:
    """One source: where each target stands, and which suites hold it."""

    name: str
    matrix: Matrix
    held: tuple[Held, ...]


def get_source(hub: Hub, who: Principal, name: str) -> SourcePage:
    """Errors: NotFound, also if all that has it is hidden from *who*."""
    with hub.db.read() as db:
        sight = load_sight(db, who)
        seen = _newest().where(source.c.name == name, build.c.scratch.is_(False), sight.builds())
        rows = db.execute(seen.group_by(source.c.name, build.c.target, build_arch.c.arch)).all()
        lines = {line.id: line for line in read_lines(db, {row.id for row in rows})}
        cells: dict[str, dict[str, Cell]] = {}
        for row in rows:
            cells.setdefault(row.target, {})[row.arch] = _cell(lines, row)
        found = tuple(_row(target, cells[target]) for target in sorted(cells))
        held = _load_held(db, name, sight)
    if not found and not held:
        raise NotFound(f"there is no source {name[:128]}", hint="the search finds parts of names")
    return SourcePage(name, Matrix(_arches(found), found), held)


def _load_held(db: Connection, name: str, sight: Sight) -> tuple[Held, ...]:
    p = source_package.c
    query = select(suite_source.c.suite, p.version).join(suite_source, suite_source.c.package_id == p.id)
    query = query.where(p.name == name, active(suite_source, None))
    query = query.where(suite_source.c.suite.not_in(select(suite_snapshot.c.suite))).order_by(suite_source.c.suite)
    return tuple(Held(row.suite, row.version) for row in db.execute(query) if sight.sees_suite(row.suite))
