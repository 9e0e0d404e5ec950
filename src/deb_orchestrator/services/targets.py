"""Targets: where builds take their root from and which suite their packages go to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import NewJob, Requirement
from deb_orchestrator.services import access, publish
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import hold_blobs
from deb_orchestrator.services.suite_view import find_heirs, load_parents
from deb_orchestrator.services.uploads import keep_blob
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_domain import target
from deb_orchestrator.store.tables_publish import suite
from debcore.hub import model
from debcore.hub.checks import CheckAsk, CheckPlan
from debcore.hub.hosts import Requires

#: Jobs of this pool are claimed by the hubs themselves.
HUB_POOL = "hub"


def ensure_target(hub: Hub, who: Principal, wanted: model.Target) -> model.Target:
    """Make target and suite unless they are there; the suite's first, empty generation is asked for.

    Errors: Conflict if the target exists with other settings.
    """
    keep_policy(hub, wanted.checks)
    with hub.db.write() as db:
        row = db.execute(select(target).where(target.c.name == wanted.name)).one_or_none()
        if row is not None:
            there = read_target(row)
            if wanted.requires is None:  # likewise
                wanted = wanted.model_copy(update={"requires": there.requires})
            if wanted.checks is None:  # says nothing of them: they may have been set since
                wanted = wanted.model_copy(update={"checks": there.checks})
            if there != wanted:
                raise Conflict(
                    f"target {wanted.name} exists with other settings", hint="choose another name, or use it as it is"
                )
            return wanted
        if wanted.build_suite is not None and not find_suites(db, [wanted.build_suite]):
            raise NotFound(
                f"there is no suite {wanted.build_suite} to build against",
                hint=f"make it first: deb-orchestrator suite make {wanted.build_suite}",
            )
        # Builds of the target get into the suite: that is for those who may change it.
        if find_suites(db, [wanted.suite]):
            access.check_manage(db, who, wanted.suite)
        if wanted.build_suite is not None:
            access.check_read(db, who, wanted.build_suite)
        made = publish.ensure_suite(db, publish.NewSuite(name=wanted.suite, arches=wanted.arches))
        values = wanted.model_dump(mode="json")
        db.execute(insert(target).values(**values, created_at=now(db)))
        log_audit(db, who, "target.make", wanted.name, values)
        if made:
            enqueue_publish(db, wanted.suite)
        append_events(db, [NewEvent(type="target.made", data=values, by=who.name)])
    return wanted


def set_checks(hub: Hub, who: Principal, name: str, plan: CheckPlan | None) -> model.Target:
    """What is checked of the target's builds from now on; None: nothing. Errors: NotFound."""
    keep_policy(hub, plan)
    with hub.db.write() as db:
        values = plan.model_dump(mode="json") if plan is not None else None
        find_target(db, name)
        db.execute(update(target).where(target.c.name == name).values(checks=values))
        log_audit(db, who, "target.checks", name, values or {})
        append_events(db, [NewEvent(type="target.checks", data={"name": name, "checks": values}, by=who.name)])
        return find_target(db, name)


def set_requires(hub: Hub, who: Principal, name: str, requires: Requires | None) -> model.Target:
    """What the target's builds require of their builders from now on. Errors: NotFound."""
    with hub.db.write() as db:
        find_target(db, name)
        values = requires.model_dump(mode="json") if requires is not None else None
        db.execute(update(target).where(target.c.name == name).values(requires=values))
        log_audit(db, who, "target.requires", name, values or {})
        append_events(db, [NewEvent(type="target.requires", data={"name": name, "requires": values}, by=who.name)])
        return find_target(db, name)


def make_requirement(wanted: model.Target, arch: str, *capabilities: str) -> Requirement:
    """What a builder must offer for one of the target's jobs on *arch*."""
    more = wanted.requires or Requires()
    return Requirement(
        pool=more.pool, arch=arch, capabilities=frozenset({*more.capabilities, *capabilities}), trust=more.trust,
        memory_mb=more.memory_mb, disk_mb=more.disk_mb, emulated=more.emulated,
    )  # fmt: skip


def keep_policy(hub: Hub, plan: CheckPlan | CheckAsk | None) -> None:
    """Store the policy's text, which the orders to come name by hash. Before their transaction."""
    if plan is not None and plan.policy is not None:
        text = plan.policy.encode()
        with hub.db.write() as db:
            hold_blobs(db, [hub.blobs.name_of(text)])
        keep_blob(hub, hub.blobs.put(text))


def enqueue_publish(db: Connection, suite_name: str, *, force: bool = False) -> None:
    """Hub jobs that publish what the suite then holds, and what those that inherit from it then see.

    With *force* the suite itself is published although its content is: its settings are others now.
    """
    for name in (suite_name, *find_heirs(load_parents(db), suite_name)):
        spec = {"suite": name, "force": True} if force and name == suite_name else {"suite": name}
        enqueue(db, NewJob(kind="publish", spec=spec, requires=Requirement(pool=HUB_POOL), priority=50))


def find_suites(db: Connection, names: Sequence[str]) -> list[str]:
    """Those of *names* that are suites."""
    return list(db.execute(select(suite.c.name).where(suite.c.name.in_(names))).scalars())


def find_target(db: Connection, name: str) -> model.Target:
    """Errors: NotFound."""
    row = db.execute(select(target).where(target.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no target {name}", hint="list them with: deb-orchestrator target list")
    return read_target(row)


def read_target(row: Row[Any]) -> model.Target:
    return model.Target(
        name=row.name, preset=row.preset, suite=row.suite, arches=tuple(row.arches), profiles=tuple(row.profiles),
        options=tuple(row.options), build_suite=row.build_suite, cross=row.cross or {}, verify=row.verify,
        checks=row.checks, requires=row.requires,
    )  # fmt: skip
