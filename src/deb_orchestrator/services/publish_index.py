"""From the rows of a suite to the bytes of its indexes and its Release file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.suite_view import View, load_view, select_content
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import Database, insert_new
from deb_orchestrator.store.tables_publish import (
    binary_package,
    index_block,
    publication,
    source_package,
    suite,
    suite_follower,
    suite_snapshot,
)
from debcore.aptrepo import IndexFile, Release, make_index, packages_path, sources_path
from debcore.errors import Failure

#: Milliseconds after which the use of a cached block is noted again.
_NOTE_USE = 24 * 3600 * 1000
#: Milliseconds after its last use at which a cached block goes.
_FORGET = 30 * _NOTE_USE


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A generation that is not signed yet: the suite's content as of `event`."""

    suite: str
    generation: int
    event: int
    release: bytes
    files: tuple[IndexFile, ...]
    followers: tuple[IndexFile, ...] = ()  #: made earlier, stored already; of plain forms only the hash is known


class SqlBlockCache:
    """Compressed blocks in `index_block`. New ones are kept in memory until `flush`, outside other transactions."""

    def __init__(self, db: Database, conn: Connection) -> None:
        self._db, self._conn = db, conn
        self._new: dict[tuple[str, str], bytes] = {}
        self._used: list[tuple[str, str]] = []

    def find(self, recipe: str, sha256: str) -> bytes | None:
        if (recipe, sha256) in self._new:
            return self._new[recipe, sha256]
        query = sa.select(index_block.c.data, index_block.c.used_at)
        row = self._conn.execute(query.where(index_block.c.recipe == recipe, index_block.c.sha256 == sha256)).first()
        if row is None:
            return None
        if row.used_at < now(self._conn) - _NOTE_USE:
            self._used.append((recipe, sha256))
        return bytes(row.data)

    def put(self, recipe: str, sha256: str, compressed: bytes) -> None:
        self._new[recipe, sha256] = compressed

    def flush(self) -> None:
        if not self._new and not self._used:
            return
        with self._db.write() as conn:
            at = now(conn)
            conn.execute(index_block.delete().where(index_block.c.used_at < at - _FORGET))
            # In order, so that two hubs that keep the same blocks wait for each other and never both.
            for recipe, sha256 in sorted(self._used):
                row = (index_block.c.recipe == recipe) & (index_block.c.sha256 == sha256)
                conn.execute(index_block.update().where(row).values(used_at=at))
            for (recipe, sha256), data in sorted(self._new.items()):
                values = {"recipe": recipe, "sha256": sha256, "data": data, "used_at": at}
                conn.execute(insert_new(conn, index_block).values(values))


def draft_publication(db: Database, suite_name: str) -> Draft:
    """The next generation of the suite from one snapshot of the database. Errors: Failure if there is no such suite."""
    with db.read() as conn:
        row = find_suite(conn, suite_name)
        cache = SqlBlockCache(db, conn)
        snapshot = conn.execute(sa.select(suite_snapshot).where(suite_snapshot.c.suite == suite_name)).first()
        event = snapshot.event if snapshot else last_event(conn)
        view = load_view(conn, snapshot.base, event) if snapshot else load_view(conn, suite_name)
        newest = sa.select(sa.func.max(publication.c.generation)).where(publication.c.suite == suite_name)
        generation = 1 + (conn.execute(newest).scalar() or 0)
        files = [file for path, entries in _indexes(conn, row, view) for file in make_index(path, entries, cache)]
        release = _make_release(row, generation, now(conn))
        followers = _find_followers(conn, suite_name, files)
    cache.flush()
    return Draft(
        suite=suite_name, generation=generation, event=event, files=tuple(files), followers=followers,
        release=release.text([*files, *followers]).encode(),
    )  # fmt: skip


def _find_followers(conn: Connection, suite_name: str, files: list[IndexFile]) -> tuple[IndexFile, ...]:
    """Those that may stand beside *files*: an xz form of an index that is another now may not."""
    plain = {file.sha256 for file in files}
    rows = conn.execute(sa.select(suite_follower).where(suite_follower.c.suite == suite_name)).all()
    fitting = [row for row in rows if row.of_sha256 is None or row.of_sha256 in plain]
    return tuple(IndexFile(row.path, row.size, row.sha256, None) for row in fitting)


def find_suite(conn: Connection, name: str) -> sa.Row[Any]:
    """The row of table suite. Errors: Failure if there is none."""
    row = conn.execute(sa.select(suite).where(suite.c.name == name)).first()
    if row is None:
        raise Failure(f"there is no suite {name}", hint="deb-orchestrator suite list")
    return row


def _make_release(row: sa.Row[Any], generation: int, at: int) -> Release:
    date = as_datetime(at)
    return Release(
        suite=row.name, codename=row.codename, origin=row.origin, label=row.label, description=row.description,
        generation=generation, date=date, components=tuple(row.components), architectures=tuple(row.arches),
        valid_until=date + timedelta(seconds=row.valid_s) if row.valid_s else None,
    )  # fmt: skip


def _indexes(conn: Connection, row: sa.Row[Any], view: View) -> Iterator[tuple[str, Iterator[tuple[str, str]]]]:
    """Path and entries of each. Udebs, if there are any, have indexes of their own: no installed system may see one."""
    is_udeb = binary_package.c.path.endswith(".udeb")
    for component in row.components:
        for arch in row.arches:
            fits = binary_package.c.arch.in_([arch, "all"])
            debs = _entries(conn, view, "binary", component, fits & ~is_udeb)
            yield packages_path(component, arch), debs
            udebs = list(_entries(conn, view, "binary", component, fits & is_udeb))
            if udebs:
                yield packages_path(f"{component}/debian-installer", arch), iter(udebs)
        yield sources_path(component), _entries(conn, view, "source", component, sa.true())


def _entries(
    conn: Connection, view: View, kind: str, component: str, wanted: sa.ColumnElement[bool]
) -> Iterator[tuple[str, str]]:
    package = source_package if kind == "source" else binary_package
    query = select_content(view, kind, package.c.name, package.c.stanza)
    query = query.where(package.c.component == component, wanted)
    query = query.order_by(package.c.name, package.c.version_key, package.c.id)
    yield from ((row.name, row.stanza) for row in conn.execute(query))
