"""Garbage collection of blobs: mark in SQL, wait, ask again, remove.

    mark     what nothing uses (services/uses.py) is put on a list, `doomed`
    remove   what has been on it for WAIT_S, and is still used by nothing, goes

A user that came before the mark has committed long before the end of the wait; one that comes later takes the blob off
the list in its own transaction (services/keeping.py), and the row's lock lets only one of the two win. A blob goes
under that lock, before the commit: killed in between, it is still on the list, and whoever is about to use what is on
the list looks whether it is there.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, delete, select, update

from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import NewJob, Requirement, State
from deb_orchestrator.domain.retention import Rules
from deb_orchestrator.services.hub import Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import spare
from deb_orchestrator.services.publish_settings import HUB_POOL
from deb_orchestrator.services.uses import PAUSED, find_uses, list_snapshots, load_retention, load_rules
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_domain import artifact, blob, hold, source_file
from deb_orchestrator.store.tables_keep import doomed, retention
from deb_orchestrator.store.tables_publish import pool_file, publication, suite_snapshot
from debcore.blobs import Blob
from debcore.hub.upkeep import Collectable, Collected, CollectJob, CollectPlan, Retention, Sum

log = logging.getLogger(__name__)

KIND = "gc"
#: Seconds between mark and removal: longer than any transaction.
WAIT_S = 3600.0
#: Seconds after its arrival in which nothing is marked: what has no hold yet, as of an older hub, has it by then.
YOUNG_S = 86400.0
#: Names asked about at once, and removed under one lock.
BATCH, REMOVED = 400, 50
#: Seconds between two collections that the hub makes by itself.
EVERY_S = 6 * 3600
#: Blobs that a plan lists, those that go first.
LISTED = 5000


def collect(hub: Hub, *, wait_s: float = WAIT_S, young_s: float = YOUNG_S) -> Collected:
    """One collection. Safe to repeat, to kill, and to run on several hubs at once. Errors: StoreAway."""
    snapshots = _drop_snapshots(hub)
    with hub.db.write() as db:
        gone = select(blob.c.sha256).where(blob.c.gone_at.isnot(None))
        # A client that has sent a blob may read it for as long as it is there; others see all: services/sight.py.
        of_client = hold.c.holder.startswith("client ")
        over = hold.c.until_at < now(db)
        db.execute(delete(hold).where(over, ~hold.c.sent | ~of_client | hold.c.sha256.in_(gone)))
    if is_paused(hub):
        nothing = Sum(files=0, size=0)
        return Collected(removed=nothing, marked=nothing, snapshots=snapshots)
    removed = _remove_all(hub, wait_s)
    marked = Counter[str]()
    with hub.db.read() as db:
        rules = load_rules(db)
    for batch in _batches(hub, young_s):
        marked.update(_mark(hub, batch, rules))
    done = Collected(removed=_sum(removed), marked=_sum(marked), snapshots=snapshots)
    log.info("collected %d files (%d bytes), marked %d", done.removed.files, done.removed.size, done.marked.files)
    return done


def plan_collection(hub: Hub, *, young_s: float = YOUNG_S) -> CollectPlan:
    """What a collection would find now; changes nothing."""
    goes, stays, listed = Counter[str](), dict[str, Counter[str]](), list[Collectable]()
    seen = 0
    with hub.db.read() as db:
        rules = load_rules(db)
    for batch in _batches(hub, 0.0):
        with hub.db.read() as db:
            uses = find_uses(db, [one.sha256 for one, _ in batch], rules)
            names = _find_names(db, [one.sha256 for one, _ in batch])
        for one, at in batch:
            young = "arrived just now" if at > time.time() - young_s else ""
            why = uses.get(one.sha256) or young
            (stays.setdefault(why, Counter()) if why else goes).update(_count(one))
            seen += 1
            if len(listed) < LISTED:
                words = why or "nothing uses it"
                listed.append(
                    Collectable(
                        sha256=one.sha256, size=one.size, goes=not why, why=words, names=names.get(one.sha256, ())
                    )
                )
    listed.sort(key=lambda one: (not one.goes, one.names, one.sha256))
    sums = {why: _sum(found) for why, found in sorted(stays.items())}
    return CollectPlan(goes=_sum(goes), stays=sums, listed=tuple(listed), left_off=seen - len(listed))


def _batches(hub: Hub, young_s: float) -> Iterator[list[tuple[Blob, float]]]:
    border = time.time() - young_s
    old = (found for found in hub.blobs.walk() if found[1] <= border)
    while batch := list(islice(old, BATCH)):
        yield batch


def _mark(hub: Hub, batch: Sequence[tuple[Blob, float]], rules: Rules) -> Counter[str]:
    names = [one.sha256 for one, _ in batch]
    with hub.db.read() as db:
        uses = find_uses(db, names, rules)
        listed = set(db.execute(select(doomed.c.sha256).where(doomed.c.sha256.in_(names))).scalars())
    unused = [one for one, _ in batch if one.sha256 not in uses and one.sha256 not in listed]
    marked = Counter[str]()
    if not unused and listed.isdisjoint(uses):
        return marked
    with hub.db.write() as db:
        spare(db, sorted(listed.intersection(uses)))
        at = now(db)
        for one in sorted(unused, key=lambda one: one.sha256):
            values = {"sha256": one.sha256, "size": one.size, "marked_at": at}
            if db.execute(insert_new(db, doomed).values(**values).returning(doomed.c.sha256)).first() is not None:
                marked.update(_count(one))
    return marked


def _remove_all(hub: Hub, wait_s: float) -> Counter[str]:
    removed, more = Counter[str](), True
    with hub.db.read() as db:
        border = now(db) - round(wait_s * 1000)
    while more:
        if is_paused(hub):
            break
        with hub.db.write() as db:
            query = select(doomed).where(doomed.c.marked_at <= border).order_by(doomed.c.sha256).limit(REMOVED)
            rows = db.execute(query.with_for_update(skip_locked=True)).all()
            more = bool(rows)
            if rows:
                found = [Blob(row.sha256, row.size) for row in rows]
                removed.update(_remove(hub, db, found, load_rules(db)))
    return removed


def _remove(hub: Hub, db: Connection, found: Sequence[Blob], rules: Rules) -> Counter[str]:
    """Under the locks of the rows of *found*."""
    names, removed = [one.sha256 for one in found], Counter[str]()
    uses = find_uses(db, names, rules)
    for one in found:
        if one.sha256 not in uses:
            hub.blobs.remove(one.sha256)
            removed.update(_count(one))
    gone = [name for name in names if name not in uses]
    db.execute(update(blob).where(blob.c.sha256.in_(gone)).values(gone_at=now(db)))
    db.execute(delete(doomed).where(doomed.c.sha256.in_(names)))
    return removed


def _drop_snapshots(hub: Hub) -> tuple[str, ...]:
    """Those that are too old are served no more; the same one may be made again."""
    with hub.db.read() as db:
        rules = load_rules(db)
        old = [row.suite for row in list_snapshots(db) if row.suite not in rules.alive]
    if old:
        with hub.db.write() as db:
            live = publication.c.suite.in_(old) & publication.c.state.in_(["live", "signing"])
            db.execute(update(publication).where(live).values(state="superseded"))
            db.execute(delete(suite_snapshot).where(suite_snapshot.c.suite.in_(old)))
    return tuple(sorted(old))


def _find_names(db: Connection, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for query in (
        select(artifact.c.sha256, artifact.c.name).where(artifact.c.sha256.in_(names)),
        select(source_file.c.sha256, source_file.c.name).where(source_file.c.sha256.in_(names)),
        select(pool_file.c.sha256, pool_file.c.path.label("name")).where(pool_file.c.sha256.in_(names)),
    ):
        for row in db.execute(query):
            found.setdefault(row.sha256, set()).add(row.name)
    return {sha256: tuple(sorted(several)[:20]) for sha256, several in found.items()}


def _count(one: Blob) -> Counter[str]:
    return Counter(files=1, size=one.size)


def _sum(counted: Counter[str]) -> Sum:
    return Sum(files=counted["files"], size=counted["size"])


def get_retention(hub: Hub) -> Retention:
    with hub.db.read() as db:
        return load_retention(db)


def set_retention(hub: Hub, who: Principal, wanted: Retention) -> Retention:
    values = wanted.model_dump(mode="json")
    with hub.db.write() as db:
        log_audit(db, who, "retention.set", "", values)
        db.execute(delete(retention).where(retention.c.name != PAUSED))
        db.execute(retention.insert(), [{"name": name, "value": value} for name, value in sorted(values.items())])
        return load_retention(db)


def pause(db: Connection, seconds: float) -> None:
    """Nothing is removed for so long, or until `resume`, once removals at hand have ended."""
    resume(db)
    db.execute(retention.insert().values(name=PAUSED, value=now(db) + round(seconds * 1000)))


def resume(db: Connection) -> None:
    db.execute(delete(retention).where(retention.c.name == PAUSED))


def is_paused(hub: Hub) -> bool:
    with hub.db.read() as db:
        until = db.execute(select(retention.c.value).where(retention.c.name == PAUSED)).scalar()
        return until is not None and int(until) > now(db)


def ask_collection(hub: Hub, who: Principal) -> CollectJob:
    """A job of the hub's."""
    with hub.db.write() as db:
        log_audit(db, who, "gc", "")
        id_ = enqueue(db, NewJob(kind=KIND, spec={}, requires=Requirement(pool=HUB_POOL), priority=-100))
        return _read_job(db, id_)


def ask_in_time(db: Connection) -> None:
    """Of several hubs one asks, every EVERY_S."""
    if load_retention(db).automatic:
        key = f"{KIND}:{now(db) // (EVERY_S * 1000)}"
        enqueue(db, NewJob(kind=KIND, spec={}, requires=Requirement(pool=HUB_POOL), priority=-100, key=key))


def get_collection(hub: Hub, id_: int) -> CollectJob:
    """Errors: NotFound."""
    with hub.db.read() as db:
        return _read_job(db, id_)


def _read_job(db: Connection, id_: int) -> CollectJob:
    row = db.execute(select(job).where(job.c.id == id_, job.c.kind == KIND)).one_or_none()
    if row is None:
        raise NotFound(f"there is no collection {id_}")
    report = (row.result or {}).get("report") if row.state == State.SUCCEEDED else None
    return CollectJob(job=row.id, state=row.state, reason=row.reason or "", result=report)
