"""Finding things by a part of their name, without what the reader may not see."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.publish_settings import debug_suite
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.services.suite_view import active
from deb_orchestrator.store.tables import agent
from deb_orchestrator.store.tables_domain import build, source
from deb_orchestrator.store.tables_publish import (
    binary_package,
    source_package,
    suite,
    suite_binary,
    suite_snapshot,
    suite_source,
)

#: Of each kind.
MOST = 50


@dataclass(frozen=True)
class Package:
    """A binary package, its source, and the suites that hold it."""

    name: str
    source: str
    suites: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """`build`: the number that was asked for, if there is such a build. Each list has MOST at most."""

    build: int | None = None
    sources: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    suites: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def only(self) -> str | None:
        """Where to go if there is just one thing."""
        places = [f"/builds/{self.build}"] if self.build is not None else []
        places += [f"/packages/{name}" for name in self.sources] + [f"/suites/{name}" for name in self.suites]
        places += [f"/hosts/{name}" for name in self.hosts] + [f"/packages/{one.source}" for one in self.packages]
        return places[0] if len(set(places)) == 1 else None


def search(hub: Hub, who: Principal, words: str) -> Found:
    """What has *words* in its name; a number is a build's. Exact names come first, then by name."""
    text = words.strip().lower()[:128]
    if not text:
        return Found()
    with hub.db.read() as db:
        sight = load_sight(db, who)
        return Found(
            build=_find_build(db, text, sight), sources=_find_sources(db, text, sight),
            packages=_find_packages(db, text, sight), suites=_find_suites(db, text, sight),
            hosts=_names(db, agent.c.name, text, agent.c.token_hash.is_not(None)),
        )  # fmt: skip


def _find_build(db: Connection, text: str, sight: Sight) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return None
    query = sa.select(build.c.id).where(build.c.id == int(text), sight.builds())
    return db.execute(query).scalar_one_or_none()


def _find_sources(db: Connection, text: str, sight: Sight) -> tuple[str, ...]:
    built = sa.exists().where(build.c.source_id == source.c.id, sight.builds())
    member = suite_source.c
    held = sa.exists().where(
        member.package_id == source_package.c.id, active(suite_source, None), _is_open(member.suite, sight)
    )
    names = {*_names(db, source.c.name, text, built), *_names(db, source_package.c.name, text, held)}
    return tuple(sorted(names, key=lambda name: (name != text, not name.startswith(text), name))[:MOST])


def _find_packages(db: Connection, text: str, sight: Sight) -> tuple[Package, ...]:
    p, member = binary_package.c, suite_binary.c
    held = sa.exists().where(member.package_id == p.id, active(suite_binary, None), _is_open(member.suite, sight))
    names = _names(db, p.name, text, held)
    query = sa.select(p.name, p.source, member.suite).join(suite_binary, member.package_id == p.id).distinct()
    query = query.where(p.name.in_(names), active(suite_binary, None), _is_open(member.suite, sight))
    suites: dict[tuple[str, str], list[str]] = {}
    for row in db.execute(query.order_by(member.suite)):
        suites.setdefault((row.name, row.source), []).append(row.suite)
    rank = {name: n for n, name in enumerate(names)}
    return tuple(Package(name, of, tuple(suites[name, of])) for name, of in sorted(suites, key=lambda k: rank[k[0]]))


def _find_suites(db: Connection, text: str, sight: Sight) -> tuple[str, ...]:
    known = suite.c.name.not_in(sa.select(suite_snapshot.c.suite))
    return tuple(name for name in _names(db, suite.c.name, text, known) if sight.sees_suite(name))


def _is_open(name: ColumnElement[str], sight: Sight) -> ColumnElement[bool]:
    """Snapshots do not count: what they hold was held by their suite."""
    closed = [*sight.hidden, *(debug_suite(one) for one in sight.hidden)]
    return sa.and_(name.not_in(closed), name.not_in(sa.select(suite_snapshot.c.suite)))


def _names(db: Connection, name: ColumnElement[str], text: str, test: ColumnElement[bool]) -> tuple[str, ...]:
    """The whole name first, then those that begin so, then the rest."""
    first = sa.case((name == text, 0), (name.startswith(text, autoescape=True), 1), else_=2)
    query = sa.select(name, first.label("first")).where(name.contains(text, autoescape=True), test).distinct()
    return tuple(row[0] for row in db.execute(query.order_by(sa.literal_column("first"), name).limit(MOST)))
