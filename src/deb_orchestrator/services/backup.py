"""A backup is a directory: a dump of the database, a list of the artifacts it names, and the artifacts themselves.

    backup.json              written last; what it does not name does not belong to the backup
    hub-TIME.sqlite | .pgdump    one moment of the database
    artifacts-TIME.txt       `SHA256 SIZE` of each file that the dump names
    blobs/                   their bytes, by hash; a later backup into the same directory adds what is new

The dump comes first and the bytes after it: what comes in between is more than is needed, and the collector rests.
The signer's keys and log are not in it: they never leave the signer.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.collect import pause, resume
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.migrate import find_current
from deb_orchestrator.store.tables_domain import blob
from deb_orchestrator.store.tables_keep import doomed
from deb_orchestrator.store.tables_publish import publication, publication_file, suite, suite_follower
from debcore.aptrepo.paths import is_packed
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.errors import ConfigError, Failure
from debcore.path import check_file_name, sync_directory, write_file

MANIFEST = "backup.json"
#: Seconds that the collector rests at most, should we be killed.
REST_S = 24 * 3600


class Manifest(BaseModel):
    """backup.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    made_at: datetime
    dialect: Literal["sqlite", "postgresql"]
    dump: str
    dump_sha256: str
    artifacts: str  #: the list
    copied: bool  #: False: their bytes are only in the store
    files: int
    size: int  #: bytes of all of them
    revision: str
    event: int
    generations: dict[str, int]  #: of each suite, the one that was served


def make_backup(db: Database, blobs: BlobStore, directory: Path, *, copy: bool = True) -> Manifest:
    """Back up a hub that may be running. One into a directory that has an older one replaces it when it is whole.

    Errors: Failure if the directory holds anything else, or an artifact is missing; HostFailed, StoreAway.
    """
    _check_directory(directory)
    stamp = datetime.now(UTC)
    name = f"hub-{stamp:%Y%m%dT%H%M%S%f}"
    with db.write() as conn:
        pause(conn, REST_S)
    try:
        dump = f"{name}.{'sqlite' if db.dialect == 'sqlite' else 'pgdump'}"
        with _moment(db, directory / dump) as conn:
            wanted, signed, old = _list_files(conn), _list_signed(conn), _list_old_indexes(conn)
            facts = {"event": last_event(conn), "revision": find_current(conn), "generations": _find_generations(conn)}
        wanted |= _find_sizes(blobs, signed, must=True)
        files = sorted((_find_sizes(blobs, old - wanted.keys(), must=False) | wanted).items())
        if copy:
            _copy(blobs, BlobStore(directory / "blobs"), files)
        else:
            _check_there(blobs, files)
    finally:
        with db.write() as conn:
            resume(conn)
    listed = f"artifacts-{name}.txt"
    write_file(directory / listed, "".join(f"{sha256} {size}\n" for sha256, size in files), mode=0o600)
    manifest = Manifest.model_validate(
        facts | {
            "made_at": stamp, "dialect": db.dialect, "dump": dump, "dump_sha256": _hash(directory / dump),
            "artifacts": listed, "copied": copy, "files": len(files), "size": sum(size for _, size in files),
        }
    )  # fmt: skip
    write_file(directory / MANIFEST, manifest.model_dump_json(indent=1) + "\n", mode=0o600)
    _remove_others(directory, manifest)
    return manifest


def load_manifest(directory: Path) -> Manifest:
    """Errors: ConfigError if there is none, or it cannot be read."""
    path = directory / MANIFEST
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(str(path), "there is no backup", hint="one that was not finished is none") from error
    except ValidationError as error:
        raise ConfigError(str(path), f"cannot be read: {error.error_count()} faults") from error
    for name in (found.dump, found.artifacts):
        check_file_name(name, where=str(path))
    return found


def load_files(directory: Path, manifest: Manifest) -> list[tuple[str, int]]:
    """(SHA-256, bytes) of the artifacts. Errors: ConfigError."""
    path = directory / manifest.artifacts
    try:
        words = [line.split() for line in path.read_text().splitlines()]
        files = [(BlobStore.check_name(sha256), int(size)) for sha256, size in words]
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    if len(files) != manifest.files:
        raise ConfigError(str(path), f"has {len(files)} lines, not {manifest.files}", hint="the backup is damaged")
    return files


def check_dump(directory: Path, manifest: Manifest) -> Path:
    """Errors: ConfigError if it is damaged."""
    path = directory / manifest.dump
    if not path.is_file() or _hash(path) != manifest.dump_sha256:
        raise ConfigError(str(path), "is missing or damaged", hint="use another backup")
    return path


def libpq(url: URL) -> tuple[str, dict[str, str]]:
    """What PostgreSQL's programs take: the URL, and the environment with its password, which no ps(1) shows."""
    env = {"PGPASSWORD": url.password} if url.password else {}
    shown = url.set(drivername="postgresql", password=None) if url.password else url.set(drivername="postgresql")
    return shown.render_as_string(), env


@contextmanager
def _moment(db: Database, dump: Path) -> Iterator[Connection]:
    """Write the dump, and give a connection that sees exactly what is in it."""
    if db.dialect == "sqlite":
        _dump_sqlite(Path(db.url.database or ""), dump)
        engine = sa.create_engine(URL.create("sqlite", database=str(dump)))
        try:
            with engine.connect() as conn:
                yield conn
        finally:
            engine.dispose()
        return
    with db.read() as conn:
        snapshot = conn.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        url, env = libpq(db.url)
        dump.touch(mode=0o600)
        run(["pg_dump", "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={dump}", f"--dbname={url}"],
            extra_env=env)  # fmt: skip
        with dump.open("rb") as file:
            os.fsync(file.fileno())
        yield conn


def _dump_sqlite(source: Path, dump: Path) -> None:
    """SQLite's own online backup: one moment, and no writer waits for it."""
    dump.touch(mode=0o600)
    live_uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(live_uri, uri=True, timeout=60)) as live, closing(sqlite3.connect(dump)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    with dump.open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(dump.parent)


def _list_files(conn: Connection) -> dict[str, int]:
    """Bytes of each file without which something that is recorded, served or waited for could not be had."""
    going = select(doomed.c.sha256)
    kept = select(blob.c.sha256, blob.c.size).where(blob.c.gone_at.is_(None), blob.c.sha256.not_in(going))
    served = publication.c.state.in_(["live", "signing"])
    files = select(publication_file.c.sha256, publication_file.c.size).join(publication, _same_generation())
    files = files.where(publication_file.c.served, served)
    found = {row.sha256: row.size for query in (kept, files) for row in conn.execute(query)}
    following = conn.execute(select(suite_follower)).all()
    return found | {row.sha256: row.size for row in following if is_packed(row.path)}  # of others there are no files


def _list_signed(conn: Connection) -> set[str]:
    """Release, InRelease and Release.gpg of what is live or awaits its signature: the database has no size of them."""
    columns = [publication.c[f"{kind}_sha256"] for kind in ("release", "inrelease", "release_gpg")]
    rows = conn.execute(select(*columns).where(publication.c.state.in_(["live", "signing"])))
    return {sha256 for row in rows for sha256 in row if sha256 is not None}


def _list_old_indexes(conn: Connection) -> set[str]:
    """Of generations that clients may be reading still; some are gone by now."""
    return set(conn.execute(select(publication_file.c.sha256).where(publication_file.c.served)).scalars())


def _same_generation() -> sa.ColumnElement[bool]:
    p, f = publication.c, publication_file.c
    return (p.suite == f.suite) & (p.generation == f.generation)


def _find_generations(conn: Connection) -> dict[str, int]:
    return {row.name: row.live for row in conn.execute(select(suite.c.name, suite.c.live).order_by(suite.c.name))}


def _find_sizes(blobs: BlobStore, names: set[str], *, must: bool) -> dict[str, int]:
    """Errors: Failure if one is missing that *must* be there."""
    sizes: dict[str, int] = {}
    for name in sorted(names):
        found = blobs.find(name)
        if found is not None:
            sizes[name] = found.size
        elif must:
            raise _missing(name)
    return sizes


def _copy(blobs: BlobStore, to: BlobStore, files: list[tuple[str, int]]) -> None:
    """Verified on the way; what an earlier backup has is not read again."""
    for sha256, size in files:
        known = to.find(sha256)
        if known is None or known.size != size:
            if not blobs.has(sha256):
                raise _missing(sha256)
            to.put(blobs.stream(sha256), sha256=sha256)


def _check_there(blobs: BlobStore, files: list[tuple[str, int]]) -> None:
    for sha256, size in files:
        found = blobs.find(sha256)
        if found is None or found.size != size:
            raise _missing(sha256)


def _missing(name: str) -> Failure:
    return Failure(
        f"the store lacks the file {name}, which the database names", hint="upload it again, or find out what lost it"
    )


def _check_directory(directory: Path) -> None:
    """Errors: Failure."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = [path.name for path in directory.iterdir() if not _is_ours(path.name)]
    if others:
        raise Failure(f"{directory} holds {others[0]}, which is no backup's", hint="give a directory of its own")


def _is_ours(name: str) -> bool:
    return name in (MANIFEST, "blobs") or name.startswith(("hub-", "artifacts-hub-", f".{MANIFEST}", ".artifacts-hub-"))


def _remove_others(directory: Path, manifest: Manifest) -> None:
    """Dumps and lists of older or unfinished backups, and bytes that this one does not name."""
    for path in directory.iterdir():
        if path.is_file() and path.name not in (MANIFEST, manifest.dump, manifest.artifacts):
            path.unlink()
    if (directory / "blobs").is_dir():
        store, named = BlobStore(directory / "blobs"), {sha256 for sha256, _ in load_files(directory, manifest)}
        for found, _ in list(store.walk()):
            if found.sha256 not in named:
                store.remove(found.sha256)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
