"""Packages that the hub has already go into other suites, and out of them: Koji's tag-build and untag-build."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.services import access
from deb_orchestrator.services.hub import Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import rely_on_packages
from deb_orchestrator.services.publish_content import change_members
from deb_orchestrator.services.publish_members import Holding
from deb_orchestrator.services.suite_view import active, find_block, load_view, select_content, source_of
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.store.tables_publish import binary_package, source_package, suite_binary, suite_source
from debcore.errors import Failure
from debcore.hub.suites import PackageAsk


def add_package(hub: Hub, who: Principal, name: str, ask: PackageAsk) -> int:
    """The suite holds the source and its binaries from the event on that is returned.

    Errors: NotFound, also for what *who* may not read; Failure if the suite's package list blocks it, it holds a newer
    version, or lacks its component.
    """
    with hub.db.write() as db:
        row = find_suite_row(db, name, lock=True)
        if ask.suite is not None:
            access.check_read(db, who, ask.suite)
        if block := find_block(db, name, ask.source):
            raise Failure(block, hint=f"allow it with: deb-orchestrator suite allow {name} {ask.source}")
        found = _find_source(db, ask)
        if ask.suite is None:
            _check_holders(db, who, found)
        if found.component not in row.components:
            raise Failure(f"suite {name} has no component {found.component}")
        binaries = _find_binaries(db, ask, found, (*row.arches, "all"))
        log_audit(db, who, "suite.add", name, {"source": found.name, "version": found.version})
        enqueue_publish(db, name)
        rely_on_packages(db, hub.blobs, source_package, [found.id])
        rely_on_packages(db, hub.blobs, binary_package, binaries)
        return change_members(db, name, [found.id], binaries, by=who.name)


def merge_suite(hub: Hub, who: Principal, name: str, other: str) -> int:
    """The suite takes all that *other* itself holds, at one event, which is returned.

    Errors: NotFound; Failure, and nothing is taken, if the package list blocks one, or the suite holds a newer one.
    """
    with hub.db.write() as db:
        row = find_suite_row(db, name, lock=True)
        find_suite_row(db, other)
        access.check_read(db, who, other)
        found = {
            table.name: db.execute(
                sa.select(package.c.id, source_of(package).label("source"), package.c.component, *_arch_of(package))
                .join(table, table.c.package_id == package.c.id)
                .where(table.c.suite == other, active(table, None))
            ).all()
            for table, package in _PAIRS
        }
        for one in sorted({one.source for rows in found.values() for one in rows}):
            if block := find_block(db, name, one):
                raise Failure(block, hint=f"allow it with: deb-orchestrator suite allow {name} {one}")
        for one in (one for rows in found.values() for one in rows):
            if one.component not in row.components:
                raise Failure(f"suite {name} has no component {one.component}, which {one.source} is in")
            if one.arch not in (*row.arches, "all"):
                raise Failure(f"suite {name} has no architecture {one.arch}, which {one.source} was built for")
        for table, package in _PAIRS:
            rely_on_packages(db, hub.blobs, package, [one.id for one in found[table.name]])
        log_audit(db, who, "suite.merge", name, {"from": other})
        enqueue_publish(db, name)
        return change_members(
            db, name, *([one.id for one in found[table.name]] for table, _ in _PAIRS), by=who.name
        )  # fmt: skip


def _arch_of(package: sa.Table) -> list[sa.ColumnElement[str]]:
    """Sources are for all architectures."""
    return [package.c.arch if "arch" in package.c else sa.literal("all").label("arch")]


def remove_package(hub: Hub, who: Principal, name: str, source: str) -> int:
    """The suite itself holds nothing of *source* from the event on that is returned; it may still inherit it.

    Errors: NotFound.
    """
    with hub.db.write() as db:
        find_suite_row(db, name, lock=True)
        gone = {table.name: _list_own(db, name, table, package, source) for table, package in _PAIRS}
        if not any(gone.values()):
            raise NotFound(f"suite {name} holds nothing of {source[:128]} itself")
        log_audit(db, who, "suite.remove", name, {"source": source})
        enqueue_publish(db, name)
        n = append_events(db, [NewEvent(type="suite.removed", data={"suite": name, "source": source}, by=who.name)])
        for table, _ in _PAIRS:
            Holding(table, name).change(db, n, gone=gone[table.name], come=())
    return n


_PAIRS = ((suite_source, source_package), (suite_binary, binary_package))


def _list_own(db: Connection, name: str, table: sa.Table, package: sa.Table, source: str) -> list[int]:
    query = sa.select(package.c.id).join(table, table.c.package_id == package.c.id)
    mine = (table.c.suite == name) & active(table, None) & (source_of(package) == source)
    return list(db.execute(query.where(mine)).scalars())


def _check_holders(db: Connection, who: Principal, found: Row[Any]) -> None:
    """A source that is asked for by its name alone may be one that private suites keep to themselves."""
    query = sa.select(suite_source.c.suite).where(suite_source.c.package_id == found.id).distinct()
    holders = list(db.execute(query).scalars())
    if who.scope != "admin" and not any(access.may_read(db, who, one) for one in holders):
        raise _no_source(found.name, None, None)


def _no_source(source: str, version: str | None, suite: str | None) -> NotFound:
    where = f" in {suite}" if suite else ""
    said = f" {version}" if version else ""
    return NotFound(f"there is no {source}{said}{where}", hint="deb-orchestrator suite content NAME lists it")


def _find_source(db: Connection, ask: PackageAsk) -> Row[Any]:
    p = source_package.c
    columns = (p.id, p.name, p.version, p.component)
    query: sa.Select[Any] = sa.select(*columns)
    if ask.suite is not None:
        find_suite_row(db, ask.suite)
        query = select_content(load_view(db, ask.suite), "source", *columns)
    query = query.where(p.name == ask.source)
    if ask.version is not None:
        query = query.where(p.version == ask.version)
    row = db.execute(query.order_by(p.version_key.desc()).limit(1)).one_or_none()
    if row is None:
        raise _no_source(ask.source, ask.version, ask.suite)
    return row


def _find_binaries(db: Connection, ask: PackageAsk, found: Row[Any], arches: tuple[str, ...]) -> list[int]:
    """The newest of each name and architecture that this version of the source made."""
    p = binary_package.c
    columns = (p.id, p.name, p.arch, p.version_key)
    query = (
        sa.select(*columns) if ask.suite is None else select_content(load_view(db, ask.suite), "binary", *columns)
    ).where(p.source == found.name, p.source_version == found.version, p.arch.in_(arches))
    newest = {(row.name, row.arch): row.id for row in db.execute(query.order_by(p.version_key))}
    return sorted(newest.values())
