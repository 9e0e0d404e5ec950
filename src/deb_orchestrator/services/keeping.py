"""What all do who are about to use a blob: they take it out of the collector's list, in their own transaction.

The collector removes only what is in its list, under a lock on that row. So of a user and the collector that meet, one
waits for the other: either the blob is off the list, or it is gone and the user learns that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_domain import artifact, blob, build_arch, hold
from deb_orchestrator.store.tables_keep import doomed
from deb_orchestrator.store.tables_publish import binary_package
from debcore.blobs import BlobStore
from debcore.errors import Failure

_T = TypeVar("_T")
#: How long an upload is kept before something uses it (seconds).
HOLD_S = 24 * 3600
#: Values in one IN list.
CHUNK = 500
#: Who holds what the hub itself stores.
HUB = "hub"


def rely_on(db: Connection, blobs: BlobStore, names: Iterable[str]) -> None:
    """Errors: Failure for the first that was collected; names of which the hub has no row are left alone."""
    for chunk in chunks(sorted(set(names))):
        spared = spare(db, chunk)
        gone = select(blob.c.sha256).where(blob.c.sha256.in_(chunk), blob.c.gone_at.isnot(None)).limit(1)
        missing = db.execute(gone).scalar() or next((name for name in spared if not blobs.has(name)), None)
        if missing is not None:
            raise Failure(
                f"the file {missing} was collected: nothing had used it for long",
                hint="upload it again; deb-orchestrator pin keeps what is still wanted",
            )


def rely_on_packages(db: Connection, blobs: BlobStore, package: sa.Table, ids: Iterable[int]) -> None:
    """As `rely_on`, for packages by their ids in the table *package*. Errors: Failure naming one that was collected."""
    for chunk in chunks(sorted(set(ids))):
        rows = db.execute(select(package.c.sha256, package.c.name, package.c.version).where(package.c.id.in_(chunk)))
        names = {row.sha256: f"{row.name} {row.version}" for row in rows}
        spared = spare(db, sorted(names))
        query = select(blob.c.sha256).where(blob.c.sha256.in_(names), blob.c.gone_at.isnot(None))
        gone = [*db.execute(query).scalars(), *(name for name in spared if not blobs.has(name))]
        if gone:
            kind = "package" if package is binary_package else "source"
            raise Failure(
                f"the {kind} {names[gone[0]]} was collected after its time in the suites",
                hint="deb-orchestrator retention shows how long superseded packages stay; pins and snapshots keep more",
            )


def spare(db: Connection, names: Sequence[str]) -> list[str]:
    """Take them off the collector's list, in one order so that two users never wait for each other; what was there."""
    query = select(doomed.c.sha256).where(doomed.c.sha256.in_(names)).order_by(doomed.c.sha256).with_for_update()
    listed = list(db.execute(query).scalars())
    if listed:
        db.execute(delete(doomed).where(doomed.c.sha256.in_(listed)))
    return listed


def hold_blobs(db: Connection, names: Iterable[str], holder: str = HUB) -> list[str]:
    """Keep them for a day, whether they are here or not; those that the collector had on its list."""
    insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    until_at = now(db) + HOLD_S * 1000
    spared: list[str] = []
    for chunk in chunks(sorted(set(names))):
        rows = [{"sha256": name, "holder": holder, "until_at": until_at} for name in chunk]
        new = insert(hold).values(rows)
        db.execute(
            new.on_conflict_do_update(index_elements=[hold.c.sha256, hold.c.holder], set_={"until_at": until_at})
        )
        spared += spare(db, chunk)
    return spared


def is_collected(db: Connection, build_id: int) -> bool:
    """True if some package that it made is gone."""
    query = (
        select(artifact.c.id)
        .join(build_arch, build_arch.c.id == artifact.c.build_arch_id)
        .join(blob, blob.c.sha256 == artifact.c.sha256)
        .where(build_arch.c.build_id == build_id, artifact.c.kind.in_(["deb", "udeb"]), blob.c.gone_at.isnot(None))
    )
    return db.execute(query.limit(1)).first() is not None


def chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
