"""Source packages that the hub knows: by name, in a suite, and one with its suites and builds."""

from __future__ import annotations

import sqlalchemy as sa

from deb_orchestrator.services import access
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.lists import BuildLine, Wanted, list_lines
from deb_orchestrator.services.matrix import get_source
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.services.suite_view import active, load_view, select_content
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.tables_domain import build, source
from deb_orchestrator.store.tables_publish import source_package, suite_snapshot, suite_source
from debcore.hub.records import InSuite, Package, PackageBuild, PackageLine

#: Builds of one package that are told.
BUILDS = 50


def list_packages(
    hub: Hub, who: Principal, *, suite: str | None = None, part: str = "", after: str = "", limit: int = 500
) -> list[PackageLine]:
    """By name, those with *part* in it, beginning after the name *after*; of all builds and suites, or as *suite* sees.

    Errors: NotFound.
    """
    with hub.db.read() as db:
        if suite is not None:
            access.check_read(db, who, suite)
            find_suite_row(db, suite)
            p = source_package.c
            seen = select_content(load_view(db, suite, None), "source", p.name, p.version, suite_source.c.suite)
            rows = db.execute(_cut(seen, p.name, part, after, limit).order_by(p.version_key))
            return [PackageLine(source=row.name, version=row.version, suite=row.suite) for row in rows]
        sight = load_sight(db, who)
        # Each half is a page in the order of an index on names, so that a page costs a page and not the archive.
        names = {name for query in _known(sight, part, after, limit) for name in db.execute(query).scalars()}
    return [PackageLine(source=name) for name in sorted(names)[:limit]]


def _known(sight: Sight, part: str, after: str, limit: int) -> list[sa.Select[tuple[str]]]:
    built = sa.exists().where(build.c.source_id == source.c.id, sight.builds())
    member = suite_source.c
    held = sa.exists().where(
        member.package_id == source_package.c.id, active(suite_source, None), sight.holds(member.suite),
        member.suite.not_in(sa.select(suite_snapshot.c.suite)),
    )  # fmt: skip
    return [
        _cut(sa.select(name).distinct().where(test), name, part, after, limit)
        for name, test in ((source.c.name, built), (source_package.c.name, held))
    ]


def _cut(
    query: sa.Select[tuple[str]], name: sa.Column[str], part: str, after: str, limit: int
) -> sa.Select[tuple[str]]:  # fmt: skip
    if part:
        query = query.where(name.contains(part, autoescape=True))
    if after:
        query = query.where(name > after)
    return query.order_by(name).limit(limit)


def get_package(hub: Hub, who: Principal, name: str) -> Package:
    """Errors: NotFound, also if all that has it is hidden from *who*."""
    found = get_source(hub, who, name)
    lines = list_lines(hub, who, Wanted(source=name), limit=BUILDS).builds
    suites = tuple(InSuite(suite=held.suite, version=held.version) for held in found.held)
    return Package(name=name, suites=suites, builds=tuple(_build(line) for line in lines))


def _build(line: BuildLine) -> PackageBuild:
    return PackageBuild(
        id=line.id, version=line.version, target=line.target, suite=line.suite, state=line.state,
        created_at=line.created_at, scratch=line.scratch, arches={one.arch: one.state for one in line.arches},
    )  # fmt: skip
