"""What follows a publication at leisure: Contents and Translation, and xz forms where the suite wants them.

They cost what exists, so no publication waits for them. A `follow` job makes them and then has a generation signed
that lists them; generations in between list the ones before, which is why nothing in them may contradict Packages: an
xz form goes only beside the very index that it is a form of.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
import zstandard
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.keeping import hold_blobs
from deb_orchestrator.services.opening import open_files
from deb_orchestrator.services.publish import publish_suite
from deb_orchestrator.services.publish_blocks import SqlBlockCache
from deb_orchestrator.services.publish_index import find_suite
from deb_orchestrator.services.publish_settings import find_settings
from deb_orchestrator.services.suite_view import load_view, select_content
from deb_orchestrator.store.engine import Database, insert_new
from deb_orchestrator.store.tables_publish import (
    binary_package,
    deb_contents,
    publication,
    publication_file,
    suite,
    suite_followed,
    suite_follower,
)
from debcore.aptrepo import (
    IndexFile,
    contents_path,
    make_contents,
    make_contents_location,
    make_file,
    make_translation,
    translation_path,
)
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.compress import GZIP, compress_xz
from debcore.deb822 import parse_stanza
from debcore.errors import Failure, HostFailed
from debcore.hub.repos import SuiteSettings

log = logging.getLogger(__name__)

#: Packages that are held at once.
_BATCH = 100
_PIECE = 4 * 1024 * 1024  #: bytes

Made = tuple[IndexFile, str | None]  #: a file, and the hash of the index that it is a form of


def follow_suite(db: Database, blobs: BlobStore, suite_name: str) -> None:
    """Make what the suite's settings ask for, from what it holds now, and publish it.

    Errors: Failure if there is no such suite; HostFailed if the disk is full.
    """
    with db.read() as conn:
        event, settings = last_event(conn), find_settings(conn, suite_name)
    if settings.contents:
        list_files(db, blobs, suite_name)
    made = list(_make(db, blobs, suite_name, settings))
    with db.write() as conn:
        conn.execute(sa.select(suite.c.name).where(suite.c.name == suite_name).with_for_update())
        changed = _keep(conn, suite_name, event, made)
    if changed:
        publish_suite(db, blobs, suite_name, force=True)


def list_files(db: Database, blobs: BlobStore, suite_name: str) -> int:
    """Have the files of those packages listed of which none are known yet; how many that were."""
    number = 0
    while True:
        with db.read() as conn:
            query = _select_debs(conn, suite_name, binary_package.c.sha256)
            known = sa.select(deb_contents.c.sha256)
            query = query.where(binary_package.c.sha256.not_in(known)).order_by(binary_package.c.id)
            missing = list(conn.execute(query.limit(_BATCH)).scalars())
        if not missing:
            return number
        rows = [_list_files(blobs, sha256) for sha256 in missing]
        with db.write() as conn:
            for row in sorted(rows, key=lambda row: str(row["sha256"])):
                conn.execute(insert_new(conn, deb_contents).values(row))
        number += len(rows)


def _list_files(blobs: BlobStore, sha256: str) -> dict[str, Any]:
    try:
        names = open_files(blobs, [("names", sha256)])[0]["names"].encode("utf-8", "surrogateescape")
    except HostFailed:
        raise
    except Failure as failure:  # its control data was sound, so it is in the suite: only its files stay unlisted
        log.warning("no Contents of a package: %s", failure)
        return {"sha256": sha256, "paths": zstandard.compress(b""), "fault": str(failure)}
    return {"sha256": sha256, "paths": zstandard.compress(names), "fault": None}


def _make(db: Database, blobs: BlobStore, suite_name: str, settings: SuiteSettings) -> Iterator[Made]:
    with db.read() as conn:
        row = find_suite(conn, suite_name)
        cache = SqlBlockCache(db, conn)
        for component in row.components:
            files: list[IndexFile] = []
            if settings.translation:
                files += make_file(translation_path(component), _translations(conn, suite_name, component), cache)
            if settings.contents:
                for arch in row.arches:
                    with tempfile.TemporaryDirectory(prefix="contents-") as tmp:
                        lines = make_contents(_sorted_paths(conn, suite_name, component, arch, Path(tmp)))
                        files += make_file(contents_path(component, arch), lines, cache, [GZIP])
            for file in files:
                if file.data is not None:
                    _put(db, blobs, file.data)
                yield file, None
        if settings.xz:
            yield from _make_xz(db, conn, blobs, suite_name)
    cache.flush()


def _select_debs(conn: Connection, suite_name: str, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The .debs (no udebs) that the suite sees now."""
    query = select_content(load_view(conn, suite_name), "binary", *columns)
    return query.where(binary_package.c.path.endswith(".deb"))


def _translations(conn: Connection, suite_name: str, component: str) -> Iterator[tuple[str, bytes]]:
    query = _select_debs(conn, suite_name, binary_package.c.name, binary_package.c.stanza)
    query = query.where(binary_package.c.component == component)
    last: tuple[str, str] | None = None
    query = query.order_by(binary_package.c.name, binary_package.c.version_key, binary_package.c.id)
    for row in conn.execute(query.execution_options(yield_per=_BATCH)):
        entry = make_translation(parse_stanza(row.stanza, where=row.name))
        if entry is not None and (row.name, str(entry)) != last:  # of each architecture's the same
            last = (row.name, str(entry))
            yield row.name, f"{entry}\n".encode()


def _sorted_paths(
    conn: Connection, suite_name: str, component: str, arch: str, directory: Path
) -> Iterator[tuple[bytes, str]]:
    """(path, location) sorted by path: a suite of Debian's size has many millions, so sort(1) does it on disk."""
    columns = (binary_package.c.name, binary_package.c.stanza, deb_contents.c.paths)
    query = (
        _select_debs(conn, suite_name, *columns)
        .join(deb_contents, deb_contents.c.sha256 == binary_package.c.sha256)
        .where(binary_package.c.component == component, binary_package.c.arch.in_([arch, "all"]))
    )
    unsorted, done = directory / "paths", directory / "sorted"
    with unsorted.open("wb") as file:
        for row in conn.execute(query.execution_options(yield_per=_BATCH)):
            section = parse_stanza(row.stanza, where=row.name).get("Section", "")
            end = b"\t" + make_contents_location(row.name, section).encode() + b"\n"
            paths = zstandard.decompress(bytes(row.paths)).split(b"\n")
            file.write(b"".join(path + end for path in paths if path))
    run(["sort", "--output", done, "--temporary-directory", directory, unsorted], extra_env={"LC_ALL": "C"})
    with done.open("rb") as file:
        for line in file:
            path, _, location = line.rstrip(b"\n").rpartition(b"\t")
            yield path, location.decode()


def _put(db: Database, blobs: BlobStore, data: bytes) -> None:
    with db.write() as conn:
        hold_blobs(conn, [blobs.name_of(data)])
    blobs.put(data)


def _make_xz(db: Database, conn: Connection, blobs: BlobStore, suite_name: str) -> Iterator[Made]:
    """Of the indexes of the live generation."""
    live = sa.select(publication.c.generation).where(publication.c.suite == suite_name, publication.c.state == "live")
    rows = conn.execute(
        sa.select(publication_file).where(
            publication_file.c.suite == suite_name, publication_file.c.generation == live.scalar_subquery()
        )
    ).all()
    by_path = {row.path: row for row in rows}
    for path, row in by_path.items():
        packed = by_path.get(f"{path}.zst")
        if packed is None or not path.endswith(("/Packages", "/Sources")):
            continue
        with blobs.open(packed.sha256) as file:
            data = compress_xz(_unpacked(file))
        name = hashlib.sha256(data).hexdigest()
        _put(db, blobs, data)
        yield IndexFile(f"{path}.xz", len(data), name, data), row.sha256


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    while piece := stream.read(_PIECE):
        yield piece


def _keep(conn: Connection, suite_name: str, event: int, made: Sequence[Made]) -> bool:
    """True if other files follow now than before."""
    before = conn.execute(sa.select(suite_follower).where(suite_follower.c.suite == suite_name)).all()
    rows = [
        {"suite": suite_name, "path": file.path, "sha256": file.sha256, "size": file.size, "of_sha256": of}
        for file, of in made
    ]
    conn.execute(suite_followed.delete().where(suite_followed.c.suite == suite_name))
    conn.execute(suite_followed.insert().values(suite=suite_name, event=event))
    if {(row.path, row.sha256, row.of_sha256) for row in before} == {(f.path, f.sha256, of) for f, of in made}:
        return False
    conn.execute(suite_follower.delete().where(suite_follower.c.suite == suite_name))
    if rows:
        conn.execute(suite_follower.insert(), rows)
    return True
