"""From a backup to a hub that can be started: artifacts first, the database last, and numbers that nobody has seen.

What was published after the backup is lost to us and known to clients, signers and subscribers. So every suite goes on
with a generation far above, and the event log with a number far above, what the backup ended with; each suite is
published anew at once, with a date that is newer than all that apt has seen.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from deb_orchestrator.dispatch.events import NewEvent, append_events, last_event
from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import NewJob, Requirement
from deb_orchestrator.services.backup import Manifest, check_dump, libpq, load_files, load_manifest
from deb_orchestrator.services.collect import resume
from deb_orchestrator.services.publish_settings import HUB_POOL
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import event_counter
from deb_orchestrator.store.tables_publish import publication
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.errors import Failure
from debcore.path import sync_directory

#: By how much generations and events go on above the backup's.
AHEAD = 100_000


def restore_backup(directory: Path, database: str | Path, blobs: BlobStore, *, ahead: int = AHEAD) -> Manifest:
    """Into an empty place. Killed before its end it may be begun again (PostgreSQL: with a new, empty database).

    Errors: ConfigError if the backup is damaged; Failure if there is a database already, or artifacts are missing.
    """
    manifest = load_manifest(directory)
    dump = check_dump(directory, manifest)
    is_file = isinstance(database, Path) or "://" not in database
    if is_file != (manifest.dialect == "sqlite"):
        raise Failure(f"the backup is of {manifest.dialect}", hint="name a database of that kind with --database")
    if is_file and Path(database).exists():
        raise Failure(f"{database} exists", hint="a backup is restored where no hub is: move it away first")
    restore_files(directory, manifest, blobs)
    if is_file:
        _restore_sqlite(dump, Path(database), manifest, ahead)
    else:
        _restore_postgres(dump, str(database), manifest, ahead)
    return manifest


def restore_files(directory: Path, manifest: Manifest, blobs: BlobStore) -> int:
    """Those that the store lacks, verified; how many. Errors: Failure naming how many are nowhere."""
    kept = BlobStore(directory / "blobs") if (directory / "blobs").is_dir() else None
    put, missing = 0, []
    for sha256, size in load_files(directory, manifest):
        found = blobs.find(sha256)
        if found is not None and found.size == size:
            continue
        if kept is None or not kept.has(sha256):
            missing.append(sha256)
            continue
        blobs.put(kept.stream(sha256), sha256=sha256)
        put += 1
    if missing:
        raise Failure(
            f"{len(missing)} artifacts are neither in the backup nor in the store, such as {missing[0]}",
            hint="the backup only names them: bring back the store that it was made with (--blobs, --artifacts)",
        )
    return put


def _restore_sqlite(dump: Path, path: Path, manifest: Manifest, ahead: int) -> None:
    """Made beside its place, and moved there when all is done."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".restoring")
    for end in ("", "-wal", "-shm"):
        new.with_name(new.name + end).unlink(missing_ok=True)
    shutil.copyfile(dump, new)
    new.chmod(0o600)
    with open_database(new, alone=False) as db:
        _go_on(db, manifest, ahead)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def _restore_postgres(dump: Path, url: str, manifest: Manifest, ahead: int) -> None:
    with open_database(url) as db:
        if sa.inspect(db.read_engine).get_table_names():
            raise Failure("the database is not empty", hint="make a new one with: createdb NAME")
        shown, env = libpq(db.url)
        words = ["--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={shown}", str(dump)]
        run(["pg_restore", *words], extra_env=env)
        _go_on(db, manifest, ahead)


def _go_on(db: Database, manifest: Manifest, ahead: int) -> None:
    migrate(db)
    with db.write() as conn:
        resume(conn)
        names = _go_ahead(conn, ahead)
        for name in names:
            spec = {"suite": name, "force": True}
            enqueue(conn, NewJob(kind="publish", spec=spec, requires=Requirement(pool=HUB_POOL), priority=50))
        before = last_event(conn)
        conn.execute(event_counter.update().values(n=before + ahead))
        data = {"backup": manifest.made_at.isoformat(), "from": before, "suites": names}
        append_events(conn, [NewEvent(type="hub.restored", data=data)])


def _go_ahead(conn: Connection, ahead: int) -> list[str]:
    """Each suite's next generation is *ahead* of its last: a row that was never served marks the place.

    The names of the suites that have something published.
    """
    newest = select(publication.c.suite, func.max(publication.c.generation).label("generation"))
    rows = conn.execute(newest.group_by(publication.c.suite).order_by(publication.c.suite)).all()
    for row in rows:
        last = select(publication).where(publication.c.suite == row.suite, publication.c.generation == row.generation)
        found = conn.execute(last).one()
        conn.execute(
            publication.insert().values(
                suite=row.suite, generation=row.generation + ahead, event=found.event, state="superseded",
                release_sha256=found.release_sha256, created_at=now(conn), reason="the hub was restored from a backup",
            )
        )  # fmt: skip
    return [row.suite for row in rows]
