"""From the rows of a suite to the bytes of its indexes and its Release file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.publish_blocks import Entry, SqlBlockCache, make_index
from deb_orchestrator.services.publish_list import list_members
from deb_orchestrator.services.suite_view import View, load_view
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_publish import (
    binary_package,
    publication,
    source_package,
    suite,
    suite_follower,
    suite_snapshot,
)
from debcore.aptrepo import IndexFile, Release, packages_path, sources_path
from debcore.blobs import BlobStore
from debcore.errors import Failure


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A generation that is not signed yet: the suite's content as of `event`."""

    suite: str
    generation: int
    event: int
    release: bytes
    files: tuple[IndexFile, ...]  #: those that are as they were have no data
    followers: tuple[IndexFile, ...] = ()  #: made earlier, stored already; of plain forms only the hash is known


def draft_publication(db: Database, blobs: BlobStore, suite_name: str) -> Draft:
    """The next generation of the suite from one snapshot of the database. Errors: Failure if there is no such suite."""
    with db.read() as conn:
        row = find_suite(conn, suite_name)
        cache = SqlBlockCache(db, conn)
        snapshot = conn.execute(sa.select(suite_snapshot).where(suite_snapshot.c.suite == suite_name)).first()
        event = snapshot.event if snapshot else last_event(conn)
        view = load_view(conn, snapshot.base, event) if snapshot else load_view(conn, suite_name)
        newest = sa.select(sa.func.max(publication.c.generation)).where(publication.c.suite == suite_name)
        generation = 1 + (conn.execute(newest).scalar() or 0)
        files = [
            file
            for path, package, entries in _indexes(conn, cache, row, view, event)
            for file in make_index(conn, cache, blobs, path, package, entries)
        ]
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


def _indexes(
    conn: Connection, cache: SqlBlockCache, row: sa.Row[Any], view: View, event: int
) -> Iterator[tuple[str, sa.Table, list[Entry]]]:
    """Path, table and entries of each. Udebs, if there are any, have indexes of their own: no installed system may see
    one."""
    binaries = list_members(conn, cache, view, "binary", event)
    sources = list_members(conn, cache, view, "source", event)
    for component in row.components:
        for arch in row.arches:
            fits = (arch, "all")
            mine = [(name, id_, udeb) for name, id_, of, its, udeb in binaries if its in fits and of == component]
            yield packages_path(component, arch), binary_package, [(name, id_) for name, id_, udeb in mine if not udeb]
            if udebs := [(name, id_) for name, id_, udeb in mine if udeb]:
                yield packages_path(f"{component}/debian-installer", arch), binary_package, udebs
        own = [(name, id_) for name, id_, of, *_ in sources if of == component]
        yield sources_path(component), source_package, own
