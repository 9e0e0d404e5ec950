"""Pins: files that somebody wants kept although no suite has them any more, such as those of an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, func, select

from deb_orchestrator.services.hub import Denied, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import chunks, rely_on
from deb_orchestrator.services.sight import find_sight, load_sight, sees_blob
from deb_orchestrator.services.suite_view import load_view, select_content
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_domain import blob
from deb_orchestrator.store.tables_keep import pin, pin_file
from deb_orchestrator.store.tables_publish import binary_package
from debcore.errors import Failure
from debcore.hub.upkeep import Pin, PinAsk


def put_pin(hub: Hub, who: Principal, name: str, ask: PinAsk) -> Pin:
    """In place of the pin of this name, if there is one. The sources and records of what is pinned stay with it.

    Errors: NotFound: a package that no suite had; Failure if nothing of it is here, or some of it was collected;
    Denied if another one's pin has this name.
    """
    labels = {file.sha256: file.label for file in ask.files}
    for text in ask.packages:
        labels |= _find_visible(hub, who, text, ask.suite)
    if not labels:
        raise Failure("there is nothing to pin", hint="name packages, or a lock")
    hidden = set() if find_sight(hub, who).whole else {one for one in labels if not sees_blob(hub, who, one)}
    with hub.db.write() as db:
        _check_owner(db, who, name)
        known = _find_known(db, labels.keys() - hidden)
        if not known:
            raise Failure(f"none of these {len(labels)} files is the hub's", hint="is it a lock of another hub?")
        rely_on(db, hub.blobs, known)
        _delete(db, name)
        db.execute(pin.insert().values(name=name, note=ask.note, principal=who.name, created_at=now(db)))
        rows = [{"pin": name, "sha256": sha256, "label": labels[sha256]} for sha256 in sorted(known)]
        db.execute(pin_file.insert(), rows)
        log_audit(db, who, "pin.put", name, {"files": len(rows)})
        found = _load(db, pin.c.name == name)[0]
    return found.model_copy(update={"unknown": len(labels) - len(known)})


def list_pins(hub: Hub, who: Principal) -> list[Pin]:
    """All of them to those who see every suite, their own to others: names and notes tell what others have."""
    with hub.db.read() as db:
        return _load(db, sa.true() if load_sight(db, who).whole else pin.c.principal == who.name)


def remove_pin(hub: Hub, who: Principal, name: str) -> None:
    """Errors: NotFound; Denied if it is another one's."""
    with hub.db.write() as db:
        if not _check_owner(db, who, name):
            raise NotFound(f"there is no pin {name}", hint="deb-orchestrator pin list")
        _delete(db, name)
        log_audit(db, who, "pin.remove", name)


def _check_owner(db: Connection, who: Principal, name: str) -> bool:
    """True if there is such a pin. Errors: Denied."""
    owner = db.execute(select(pin.c.principal).where(pin.c.name == name).with_for_update()).scalar()
    if owner is not None and owner != who.name and who.scope != "admin":
        raise Denied(f"the pin {name} is {owner}'s", hint="choose another name, or ask an admin")
    return owner is not None


def _delete(db: Connection, name: str) -> None:
    db.execute(delete(pin_file).where(pin_file.c.pin == name))
    db.execute(delete(pin).where(pin.c.name == name))


def _find_visible(hub: Hub, who: Principal, text: str, suite: str | None) -> dict[str, str]:
    """As `_find_package`; what is hidden from *who* is not there."""
    with hub.db.read() as db:
        sight = load_sight(db, who)
        if suite is not None and not sight.sees_suite(suite):
            raise NotFound(f"there is no suite {suite[:64]}", hint="list them with: deb-orchestrator suite list")
        found = dict(_find_package(db, text, suite))
    seen = {sha256: label for sha256, label in found.items() if sight.whole or sees_blob(hub, who, sha256)}
    if not seen:
        raise NotFound(f"there is no package {text[:200]}{f' in {suite}' if suite else ''}")
    return seen


def _find_package(db: Connection, text: str, suite: str | None) -> list[tuple[str, str]]:
    """(SHA-256, label) of `NAME` as *suite* sees it, or of `NAME=VERSION`, on all architectures. Errors: NotFound."""
    name, _, version = text.partition("=")
    p = binary_package.c
    columns = (p.sha256, p.name, p.version, p.arch)
    if not version and suite is None:
        raise Failure(f"{name[:100]} has no version", hint="say NAME=VERSION, or name the suite")
    query: sa.Select[Any] = sa.select(*columns)
    if suite is not None:
        find_suite_row(db, suite)
        query = select_content(load_view(db, suite), "binary", *columns)
    query = query.where(p.name == name)
    rows = db.execute(query.where(p.version == version) if version else query).all()
    if not rows:
        raise NotFound(f"there is no package {text[:200]}{f' in {suite}' if suite else ''}")
    return [(row.sha256, f"{row.name} {row.version} {row.arch}") for row in rows]


def _find_known(db: Connection, names: Iterable[str]) -> list[str]:
    known: list[str] = []
    for chunk in chunks(sorted(names)):
        known += db.execute(select(blob.c.sha256).where(blob.c.sha256.in_(chunk))).scalars()
    return known


def _load(db: Connection, which: sa.ColumnElement[bool]) -> list[Pin]:
    query = (
        select(pin, func.count().label("files"), func.sum(blob.c.size).label("size"))
        .join(pin_file, pin_file.c.pin == pin.c.name)
        .join(blob, blob.c.sha256 == pin_file.c.sha256)
        .where(which)
        .group_by(*pin.c)
        .order_by(pin.c.name)
    )
    return [
        Pin(
            name=row.name, note=row.note, by=row.principal, created_at=as_datetime(row.created_at), files=row.files,
            size=int(row.size),
        )
        for row in db.execute(query)
    ]  # fmt: skip
