"""Requirement classes: equal requirements share one row, so that a claim looks at the heads of a few queues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from deb_orchestrator.domain.hosts import find_refusal
from deb_orchestrator.domain.jobs import Offer, Requirement
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables import job_class


def intern_class(db: Connection, requirement: Requirement) -> int:
    """The id of the requirement's class, made if it is new."""
    capabilities = sorted(requirement.capabilities)
    more = {
        "trust": requirement.trust, "memory_mb": requirement.memory_mb, "disk_mb": requirement.disk_mb,
        "emulated": requirement.emulated,
    }  # fmt: skip
    asked = {name: value for name, value in more.items() if value}  # as before where nothing more is asked
    parts = [requirement.pool, requirement.arch, capabilities, *([asked] if asked else [])]
    key = json.dumps(parts, separators=(",", ":"), sort_keys=True)
    known = select(job_class.c.id).where(job_class.c.key == key)
    if (found := db.execute(known).scalar_one_or_none()) is not None:
        return int(found)
    values = {"key": key, "pool": requirement.pool, "arch": requirement.arch, "capabilities": capabilities, **more}
    db.execute(insert_new(db, job_class).values(values))
    return int(db.execute(known).scalar_one())


def find_classes(db: Connection, offer: Offer) -> tuple[int, ...]:
    """The classes whose jobs an agent with *offer* may claim. A farm has tens to hundreds of classes."""
    rows = db.execute(select(job_class).where(job_class.c.pool.in_(sorted(offer.pools))))
    return tuple(row.id for row in rows if not find_refusal(offer, read_class(row)))


class ClassBook:
    """What the classes of one database require, read once: a row of job_class never changes, and none is removed."""

    def __init__(self) -> None:
        self._known: dict[int, Requirement] = {}

    def find(self, db: Connection) -> Mapping[int, Requirement]:
        """All classes there are, by id."""
        ids = list(db.execute(select(job_class.c.id)).scalars())
        if any(id_ not in self._known for id_ in ids):
            self._known = {row.id: read_class(row) for row in db.execute(select(job_class))}
        return {id_: self._known[id_] for id_ in ids}


def read_class(row: Row[Any]) -> Requirement:
    """The requirement of a row of job_class."""
    return Requirement(
        pool=row.pool, arch=row.arch, capabilities=frozenset(row.capabilities), trust=row.trust,
        memory_mb=row.memory_mb, disk_mb=row.disk_mb, emulated=row.emulated,
    )  # fmt: skip
