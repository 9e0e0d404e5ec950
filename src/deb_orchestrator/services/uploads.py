"""Blobs: a hold before the bytes, the hash checked on arrival, the row after the sync."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.keeping import hold_blobs, rely_on
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_domain import blob, hold
from debcore.blobs import Blob, BlobStore
from debcore.errors import Failure


def take_hold(hub: Hub, who: Principal, sha256: str, size: int | None) -> bool:
    """Keep *sha256* from being collected; True if the hub has it. Errors: Failure if *size* (bytes) is too much."""
    _check_size(hub, size)
    hub.blobs.check_name(sha256)
    with hub.db.write() as db:
        hold_blobs(db, [sha256], holder_of(who))
        known = find_blob(db, sha256)
    # What a store has lost, or has a part of, is to be sent again.
    return known is not None and hub.blobs.find(sha256) == known


def holder_of(who: Principal) -> str:
    return f"{who.scope} {who.name}"


def keep_blob(hub: Hub, kept: Blob, *, sent_by: Principal | None = None) -> None:
    """The bytes are synced; say so in SQL, and who has them."""
    with hub.db.write() as db:
        insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
        values = {"sha256": kept.sha256, "size": kept.size, "created_at": now(db)}
        new = insert(blob).values(**values)
        # One that was collected is back.
        db.execute(new.on_conflict_do_update(index_elements=[blob.c.sha256], set_={"gone_at": None}))
        if sent_by is not None:
            mine = (hold.c.sha256 == kept.sha256) & (hold.c.holder == holder_of(sent_by))
            db.execute(update(hold).where(mine).values(sent=True))


def find_blob(db: Connection, sha256: str) -> Blob | None:
    here = (blob.c.sha256 == sha256) & blob.c.gone_at.is_(None)
    size = db.execute(select(blob.c.size).where(here)).scalar_one_or_none()
    return None if size is None else Blob(sha256, size)


def check_blobs(db: Connection, blobs: BlobStore, wanted: Sequence[tuple[str, str, int]]) -> None:
    """Each of *wanted* is (name, SHA-256, size). They are kept once the transaction, one that writes, has committed.

    Errors: Failure for the first that is missing or has another size.
    """
    rely_on(db, blobs, (sha256 for _, sha256, _ in wanted))
    query = select(blob.c.sha256, blob.c.size).where(blob.c.sha256.in_({sha for _, sha, _ in wanted}))
    sizes = {row.sha256: row.size for row in db.execute(query)}
    for name, sha256, size in wanted:
        if sha256 not in sizes:
            raise Failure(f"{name} was not uploaded ({sha256})", hint="PUT it to /api/v1/blobs/SHA256 first")
        if sizes[sha256] != size:
            raise Failure(f"{name} has {sizes[sha256]} bytes, not {size}")


def check_blob(hub: Hub, sha256: str) -> Blob:
    """Errors: NotFound."""
    with hub.db.read() as db:
        found = find_blob(db, sha256)
    if found is None or not hub.blobs.has(sha256):
        raise NotFound(f"no blob {sha256[:64]}")
    return found


def _check_size(hub: Hub, size: int | None) -> None:
    if size is not None and size > hub.max_blob:
        raise Failure(f"{size} bytes are more than this hub takes ({hub.max_blob})", hint="see hub --max-upload")
