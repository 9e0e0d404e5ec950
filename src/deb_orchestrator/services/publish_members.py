"""Which packages a suite holds, and which of them new ones supersede. All queries go by index: see `Holding`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from deb_orchestrator.store.tables_publish import binary_package, source_package
from debcore.errors import Failure

#: Values in one IN list: far below the bounds of both databases, and well planned by both.
_CHUNK = 500


@dataclass(frozen=True)
class Holding:
    """The sources or binaries of one suite; `table` is suite_source or suite_binary."""

    table: Table
    suite: str

    def find(self, conn: Connection, ids: Iterable[int]) -> set[int]:
        """Those of *ids* that the suite holds now."""
        c = self.table.c
        query = sa.select(c.package_id).where(c.suite == self.suite, c.revoked_event.is_(None))
        return {id_ for chunk in chunks(ids) for id_ in conn.execute(query.where(c.package_id.in_(chunk))).scalars()}

    def missing(self, conn: Connection, ids: Sequence[int]) -> list[int]:
        """Those of *ids* that it does not hold, each once."""
        held = self.find(conn, ids)
        return [id_ for id_ in dict.fromkeys(ids) if id_ not in held]

    def change(self, conn: Connection, n: int, *, gone: Iterable[int], come: Sequence[int]) -> None:
        """At event *n*."""
        c = self.table.c
        for chunk in chunks(gone):
            current = (c.suite == self.suite) & c.revoked_event.is_(None) & c.package_id.in_(chunk)
            conn.execute(self.table.update().where(current).values(revoked_event=n))
        if come:
            rows = [{"suite": self.suite, "package_id": id_, "created_event": n} for id_ in come]
            conn.execute(self.table.insert(), rows)


def find_superseded_sources(conn: Connection, held: Holding, ids: Sequence[int]) -> set[int]:
    """Older versions of the sources *ids*. Errors: Failure if the suite holds a newer one."""
    news = {row.name: row for row in _load(conn, source_package, source_package.c.id, ids)}
    known = {row.id: row for row in _load(conn, source_package, source_package.c.name, news)}
    old = held.find(conn, set(known) - set(ids))
    for id_ in old:
        _check_forward(held.suite, known[id_], news[known[id_].name])
    return old


def find_superseded_binaries(conn: Connection, held: Holding, ids: Sequence[int]) -> set[int]:
    """What `add_to_suite` says leaves. Errors: Failure if the suite holds a newer binary of a name and architecture."""
    news = _load(conn, binary_package, binary_package.c.id, ids)
    by_name = {(row.name, row.arch): row for row in news}
    by_source = _group(news)
    known = {row.id: row for row in _load(conn, binary_package, binary_package.c.name, {row.name for row in news})}
    known |= {row.id: row for row in _load(conn, binary_package, binary_package.c.source, by_source)}
    current = [known[id_] for id_ in held.find(conn, set(known) - set(ids))]
    old: set[int] = set()
    for row in current:
        if (new := by_name.get((row.name, row.arch))) is not None:
            _check_forward(held.suite, row, new)
            old.add(row.id)
    for source, rows in _group(current).items():
        if source in by_source:
            old |= _outlived(rows, by_source[source], old)
    return old


def _outlived(current: list[sa.Row[Any]], news: list[sa.Row[Any]], old: set[int]) -> set[int]:
    """Ids of *current* that older versions of the same source built, where nothing of them is to stay."""
    newest = max(new.source_version_key for new in news)
    coming = {new.arch for new in news}
    older = [row for row in current if row.source_version_key < newest]
    left = [row for row in older if row.arch not in coming and row.id not in old]
    if all(row.arch == "all" for row in left):
        left = []
    return {row.id for row in older} - {row.id for row in left}


def _group(rows: Iterable[sa.Row[Any]]) -> dict[str, list[sa.Row[Any]]]:
    groups: dict[str, list[sa.Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.source, []).append(row)
    return groups


def list_names(conn: Connection, package: Table, ids: Sequence[int]) -> list[dict[str, str]]:
    """Name, version and, of binaries, architecture: for events."""
    keys = [key for key in ("name", "version", "arch") if key in package.c]
    rows = _load(conn, package, package.c.id, ids)
    return sorted(({key: str(row._mapping[key]) for key in keys} for row in rows), key=lambda one: tuple(one.values()))


def _load(conn: Connection, package: Table, column: sa.Column[Any], values: Iterable[Any]) -> list[sa.Row[Any]]:
    """Rows without their stanzas."""
    query = sa.select(*(c for c in package.c if c.name != "stanza"))
    return [row for chunk in chunks(values) for row in conn.execute(query.where(column.in_(chunk)))]


def _check_forward(suite_name: str, held: sa.Row[Any], new: sa.Row[Any]) -> None:
    if held.version_key > new.version_key:
        raise Failure(
            f"suite {suite_name} holds {held.name} {held.version}, which is newer than {new.version}",
            hint="a suite never goes backwards: give it a higher version",
        )


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """As many as go into one IN list."""
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
