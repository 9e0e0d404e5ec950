"""What is at a path of the archive, for whoever serves it over HTTP.

dists/SUITE/{InRelease,Release,Release.gpg}        of the live generation: changes
dists/SUITE/COMPONENT/…/{Packages,Sources}.{gz,zst}  of the live generation: changes
dists/SUITE/COMPONENT/…/by-hash/SHA256/HEX           of any generation: never changes
pool/COMPONENT/…                                      never changes
keys/SUITE.asc                                        the key to put into Signed-By
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_publish import pool_file, publication, publication_file, suite
from debcore.blobs import BlobStore

_BY_HASH = re.compile(r"(?P<directory>.+)/by-hash/SHA256/(?P<sha256>[0-9a-f]{64})")
_SIGNED = {"InRelease": "inrelease_sha256", "Release": "release_sha256", "Release.gpg": "release_gpg_sha256"}
_TYPES = {
    "gz": "application/gzip",
    "zst": "application/zstd",
    "deb": "application/vnd.debian.binary-package",
    "asc": "text/plain; charset=utf-8",
    "gpg": "text/plain; charset=utf-8",
    "dsc": "text/plain; charset=utf-8",
    "InRelease": "text/plain; charset=utf-8",
    "Release": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, kw_only=True)
class AptFile:
    """A file to serve: a blob, `file` if it is on disk; or `data` where it is none. `sha256` serves as ETag."""

    sha256: str
    size: int  #: bytes
    immutable: bool  #: False: caches must ask again
    media_type: str
    file: Path | None = None
    data: bytes | None = None


def find_apt_file(db: Database, blobs: BlobStore, path: str) -> AptFile | None:
    """What *path*, relative to the archive's root and decoded, stands for. None: 404."""
    top, _, rest = path.partition("/")
    with db.read() as conn:
        if top == "pool":
            found = conn.execute(sa.select(pool_file.c.sha256).where(pool_file.c.path == path)).scalar()
            return _blob(blobs, found, path, immutable=True)
        if top == "dists":
            return _find_index(conn, blobs, *rest.partition("/")[::2])
        if top == "keys" and rest.endswith(".asc"):
            key = conn.execute(sa.select(suite.c.public_key).where(suite.c.name == rest[:-4])).scalar()
            return _text(key.encode(), path) if key else None
    return None


def _find_index(conn: Connection, blobs: BlobStore, suite_name: str, path: str) -> AptFile | None:
    by_hash = _BY_HASH.fullmatch(path)
    if by_hash:
        listed = publication_file.c.path.startswith(by_hash["directory"] + "/", autoescape=True)
        query = sa.select(publication_file.c.sha256).where(
            publication_file.c.suite == suite_name, publication_file.c.sha256 == by_hash["sha256"],
            publication_file.c.served, listed,
        )  # fmt: skip
        return _blob(blobs, conn.execute(query.limit(1)).scalar(), path, immutable=True)
    live: sa.Select[Any] = sa.select(publication).where(
        publication.c.suite == suite_name, publication.c.state == "live"
    )
    row = conn.execute(live).first()
    if row is None:
        return None
    if path in _SIGNED:
        return _blob(blobs, row._mapping[_SIGNED[path]], path, immutable=False)
    query = sa.select(publication_file.c.sha256).where(
        publication_file.c.suite == suite_name, publication_file.c.generation == row.generation,
        publication_file.c.path == path, publication_file.c.served,
    )  # fmt: skip
    return _blob(blobs, conn.execute(query).scalar(), path, immutable=False)


def _blob(blobs: BlobStore, sha256: str | None, path: str, *, immutable: bool) -> AptFile | None:
    blob = blobs.find(sha256) if sha256 else None
    if blob is None:
        return None
    return AptFile(
        sha256=blob.sha256, size=blob.size, immutable=immutable, media_type=_media_type(path),
        file=blobs.local(blob.sha256),
    )  # fmt: skip


def _text(data: bytes, path: str) -> AptFile:
    name = BlobStore.name_of(data)
    return AptFile(sha256=name, size=len(data), immutable=False, media_type=_media_type(path), data=data)


def _media_type(path: str) -> str:
    name = path.rpartition("/")[2]
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
