"""Composes: images, what they are made of, and which builds are in them.

Whoever composes tells; the hub adds which of its builds made each package. The packages of a finished compose are kept
until it is removed. Who may not see one of a compose's builds does not see the compose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from deb_orchestrator.services.hub import Denied, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import chunks, spare
from deb_orchestrator.services.sight import Sight, load_sight
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_composes import compose, compose_package
from deb_orchestrator.store.tables_domain import artifact, build, build_arch
from debcore.errors import Failure
from debcore.hub import composes as wire

#: Packages of one compose, all variants together.
MOST = 200_000
#: Rows in one statement: SQLite bounds the values of one.
_ROWS = 500


def put_compose(hub: Hub, who: Principal, id_: str, ask: wire.ComposeAsk) -> wire.ComposeLine:
    """The compose is as *ask* says from now on. Told twice it is the same. Errors: Denied if it is another one's."""
    number = sum(len(variant.packages) for variant in ask.variants)
    if number > MOST:
        raise Failure(f"a compose of {number} packages is more than {MOST}")
    keys = [variant.key for variant in ask.variants]
    if len(set(keys)) < len(keys):
        raise Failure("two variants of the compose have the same name and architecture")
    document = ask.model_dump(mode="json")
    for variant in document["variants"]:
        del variant["packages"]
    values = {"status": ask.status, "document": document, "packages": number, "principal": who.name}
    with hub.db.write() as db:
        made = insert_new(db, compose).values(id=id_, told_at=now(db), **values).returning(compose.c.n)
        n = db.execute(made).scalar_one_or_none()
        if n is None:
            row = db.execute(select(compose).where(compose.c.id == id_).with_for_update()).one()
            _check_teller(who, row)
            n = row.n
            values["principal"] = row.principal
            db.execute(compose.update().where(compose.c.n == n).values(told_at=now(db), **values))
            db.execute(delete(compose_package).where(compose_package.c.compose_n == n))
        builds = _find_builds(db, load_sight(db, who), ask)
        rows = _list_packages(n, ask, builds)
        for start in range(0, len(rows), _ROWS):
            db.execute(insert(compose_package), rows[start : start + _ROWS])
        for chunk in chunks(sorted(builds)):
            spare(db, chunk)
        log_audit(db, who, "compose.put", id_, {"status": ask.status, "packages": number, "built": len(builds)})
        found = db.execute(_lines().where(compose.c.n == n)).one()
    return _line(found)


def _no_compose(id_: str) -> NotFound:
    return NotFound(f"there is no compose {id_[:128]}", hint="list them with: deb-orchestrator compose list")


def _check_teller(who: Principal, row: Row[Any]) -> None:
    if row.principal != who.name and who.scope != "admin":
        raise Denied("the compose is another one's", hint="composes of one id are told by one principal, or an admin")


def _find_builds(db: Connection, sight: Sight, ask: wire.ComposeAsk) -> dict[str, int]:
    """SHA-256 of a .deb → the newest build that made these bytes, of those that *sight* shows."""
    wanted = {one.sha256 for variant in ask.variants for one in variant.packages if one.sha256 is not None}
    found: dict[str, int] = {}
    for chunk in chunks(sorted(wanted)):
        query = (
            select(artifact.c.sha256, sa.func.max(build.c.id).label("id"))
            .join(build_arch, build_arch.c.id == artifact.c.build_arch_id)
            .join(build, build.c.id == build_arch.c.build_id)
            .where(artifact.c.sha256.in_(chunk), artifact.c.kind.in_(["deb", "udeb"]), sight.builds())
            .group_by(artifact.c.sha256)
        )
        found |= {row.sha256: row.id for row in db.execute(query)}
    return found


def _list_packages(n: int, ask: wire.ComposeAsk, builds: dict[str, int]) -> list[dict[str, Any]]:
    rows = {
        (number, one.name, one.arch, one.version): {
            "compose_n": n, "variant": number, "name": one.name, "arch": one.arch, "version": one.version,
            "source": one.source, "sha256": one.sha256 if one.sha256 in builds else None,
            "build_id": builds.get(one.sha256 or ""),
        }
        for number, variant in enumerate(ask.variants) for one in variant.packages
    }  # fmt: skip
    return list(rows.values())


def list_composes(
    hub: Hub, who: Principal, *, build_id: int | None = None, before: str | None = None, limit: int = 50
) -> list[wire.ComposeLine]:
    """Newest first. *build_id*: only those with a package of it; *before*: the id of one."""
    query = _lines().order_by(compose.c.n.desc()).limit(limit)
    if build_id is not None:
        mine = select(compose_package.c.compose_n).where(compose_package.c.build_id == build_id)
        query = query.where(compose.c.n.in_(mine))
    if before is not None:
        query = query.where(compose.c.n < select(compose.c.n).where(compose.c.id == before).scalar_subquery())
    with hub.db.read() as db:
        return [_line(row) for row in db.execute(query.where(_seen(load_sight(db, who))))]


def get_compose(hub: Hub, who: Principal, id_: str) -> wire.ComposeShow:
    """Errors: NotFound, also if a build of it is hidden from *who*."""
    with hub.db.read() as db:
        row = db.execute(_lines().where(compose.c.id == id_, _seen(load_sight(db, who)))).one_or_none()
        if row is None:
            raise _no_compose(id_)
        mine = select(compose_package).where(compose_package.c.compose_n == row.n)
        c = compose_package.c
        packages = db.execute(mine.order_by(c.variant, c.name, c.arch)).all()
    ask = wire.ComposeAsk.model_validate(row.document)
    return wire.ComposeShow(
        **_line(row).model_dump(), suite=ask.suite, place=ask.place, links=ask.links, faults=ask.faults,
        images=tuple(
            wire.ShownVariant(
                **variant.model_dump(exclude={"packages"}),
                packages=_show_packages(one for one in packages if one.variant == number),
            )
            for number, variant in enumerate(ask.variants)
        ),
    )  # fmt: skip


def _show_packages(rows: Iterable[Row[Any]]) -> tuple[wire.BuiltPackage, ...]:
    return tuple(
        wire.BuiltPackage(
            name=row.name, version=row.version, arch=row.arch, source=row.source, sha256=row.sha256, build=row.build_id
        )
        for row in rows
    )


def remove_compose(hub: Hub, who: Principal, id_: str) -> None:
    """Nothing is kept for it any more. Errors: NotFound; Denied if it is another one's."""
    with hub.db.write() as db:
        query = select(compose).where(compose.c.id == id_, _seen(load_sight(db, who)))
        row = db.execute(query.with_for_update()).one_or_none()
        if row is None:
            raise _no_compose(id_)
        _check_teller(who, row)
        db.execute(delete(compose_package).where(compose_package.c.compose_n == row.n))
        db.execute(delete(compose).where(compose.c.n == row.n))
        log_audit(db, who, "compose.remove", id_)


def find_composed(db: Connection, names: Sequence[str]) -> dict[str, str]:
    """For each of the files *names* that an image of a finished compose has: which compose, in words."""
    query = select(compose_package.c.sha256, compose.c.id).join(compose, compose.c.n == compose_package.c.compose_n)
    query = query.where(compose_package.c.sha256.in_(names), compose.c.status.in_(wire.FINISHED))
    return {row.sha256: f"compose {row.id}" for row in db.execute(query.order_by(compose.c.n))}


def _seen(sight: Sight) -> ColumnElement[bool]:
    if sight.whole:
        return sa.true()
    hidden = select(build.c.id).where(~sight.builds())
    return compose.c.n.not_in(select(compose_package.c.compose_n).where(compose_package.c.build_id.in_(hidden)))


def _lines() -> sa.Select[Any]:
    built = (
        select(sa.func.count())
        .where(compose_package.c.compose_n == compose.c.n, compose_package.c.build_id.isnot(None))
        .correlate(compose)
        .scalar_subquery()
    )
    return select(compose, built.label("built"))


def _line(row: Row[Any]) -> wire.ComposeLine:
    told = row.document
    return wire.ComposeLine(
        id=row.id, type=told["type"], label=told["label"], status=row.status, release=told["release"],
        by=row.principal, told_at=as_datetime(row.told_at), packages=row.packages, builds=row.built,
        variants=tuple(f"{one['name']}.{one['arch']}" for one in told["variants"]),
    )  # fmt: skip
