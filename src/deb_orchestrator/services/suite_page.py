"""All that the page of a suite tells, put together for one reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from deb_orchestrator.services import access
from deb_orchestrator.services.hub import Denied, Hub, Principal
from deb_orchestrator.services.publish_settings import find_settings
from deb_orchestrator.services.queries import get_suite
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.services.suite_view import active, find_heirs, find_order, load_parents
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables_domain import target
from deb_orchestrator.store.tables_doors import suite_role
from deb_orchestrator.store.tables_publish import publication, suite_binary, suite_key, suite_snapshot, suite_source
from debcore.hub.doors import SuiteRole
from debcore.hub.model import Suite
from debcore.hub.repos import SuiteSettings


@dataclass(frozen=True)
class Generation:
    """One publication. `reason`: of a refusal."""

    number: int
    event: int
    state: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Key:
    number: int
    state: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class SuitePage:
    """`order`: what it inherits, without itself; `heirs`: who inherits from it; both without what is hidden.

    `own`: (sources, binaries) that it holds itself. `roles`: None for those who may not manage it.
    """

    suite: Suite
    settings: SuiteSettings
    order: tuple[str, ...]
    heirs: tuple[str, ...]
    targets: tuple[str, ...]
    own: tuple[int, int]
    generations: tuple[Generation, ...]
    keys: tuple[Key, ...]
    snapshots: tuple[str, ...]
    roles: tuple[SuiteRole, ...] | None


def get_page(hub: Hub, who: Principal, name: str, *, base_url: str) -> SuitePage:
    """Errors: NotFound, also for what *who* may not read."""
    access.check_all(hub, who, [name])
    found = get_suite(hub, name, base_url=base_url)
    with hub.db.read() as db:
        find_suite_row(db, name)
        sight, parents = load_sight(db, who), load_parents(db)
        snapshots = sa.select(suite_snapshot.c.suite).where(suite_snapshot.c.base == name)
        return SuitePage(
            suite=found, settings=find_settings(db, name), order=_open(find_order(parents, name)[1:], sight.hidden),
            heirs=_open(find_heirs(parents, name), sight.hidden), targets=_list_targets(db, name, sight),
            own=(_count(db, suite_source, name), _count(db, suite_binary, name)), generations=_generations(db, name),
            keys=_keys(db, name),
            snapshots=tuple(db.execute(snapshots.order_by(suite_snapshot.c.event.desc()).limit(20)).scalars()),
            roles=_roles(db, who, name),
        )  # fmt: skip


def _open(names: Iterable[str], hidden: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not access.is_private(name, hidden))


def _list_targets(db: Connection, name: str, sight: Sight) -> tuple[str, ...]:
    query = sa.select(target.c.name).where(target.c.suite == name, sight.targets()).order_by(target.c.name)
    return tuple(db.execute(query).scalars())


def _count(db: Connection, table: Table, name: str) -> int:
    mine = sa.select(sa.func.count()).select_from(table).where(table.c.suite == name, active(table, None))
    return int(db.execute(mine).scalar_one())


def _generations(db: Connection, name: str) -> tuple[Generation, ...]:
    """The last ones, newest first."""
    p = publication.c
    query = sa.select(publication).where(p.suite == name).order_by(p.generation.desc()).limit(5)
    return tuple(
        Generation(row.generation, row.event, row.state, row.reason or "", as_datetime(row.live_at or row.created_at))
        for row in db.execute(query)
    )


def _keys(db: Connection, name: str) -> tuple[Key, ...]:
    k = suite_key.c
    query = sa.select(suite_key).where(k.suite == name, k.state != "retired").order_by(k.number)
    return tuple(Key(row.number, row.state, row.fingerprint or "") for row in db.execute(query))


def _roles(db: Connection, who: Principal, name: str) -> tuple[SuiteRole, ...] | None:
    try:
        access.check_manage(db, who, name)
    except Denied:
        return None
    query = sa.select(suite_role).where(suite_role.c.suite == name).order_by(suite_role.c.principal)
    return tuple(SuiteRole(principal=row.principal, role=row.role) for row in db.execute(query))
