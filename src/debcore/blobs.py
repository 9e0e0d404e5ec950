"""Content-addressed files: a blob is named by the SHA-256 of its bytes, appears whole and durable, and never changes.

Layout: ROOT/ab/cdef… (mode 0444) and ROOT/incoming/ for what is being written. Names say nothing about access:
who may read a blob, and what holds it, is the caller's affair.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from debcore.errors import Failure, HostFailed
from debcore.path import sync_directory

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Blob:
    sha256: str
    size: int  #: bytes


class Incoming:
    """A blob being written. `commit` makes it part of the store; without it nothing stays."""

    def __init__(self, store: BlobStore, file: IO[bytes], path: Path, limit: int | None) -> None:
        self._store, self._file, self._path, self._limit = store, file, path, limit
        self._hash = hashlib.sha256()
        self.size = 0
        self.committed: Blob | None = None

    def write(self, chunk: bytes) -> None:
        """Errors: Failure above the size limit; HostFailed when the disk is full."""
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            raise Failure(f"the file is larger than {self._limit} bytes", hint="the size announced or allowed is less")
        self._hash.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise HostFailed(f"cannot store a file: {error.strerror}", hint="free space in the blob store") from error

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()

    def commit(self, *, sha256: str | None = None, size: int | None = None) -> Blob:
        """fsync, rename, fsync of the directory. Errors: Failure if content and announcement differ."""
        blob = Blob(self._hash.hexdigest(), self.size)
        if sha256 is not None and sha256 != blob.sha256:
            raise Failure(f"the content has SHA-256 {blob.sha256}, not {sha256}", hint="send the file again")
        if size is not None and size != blob.size:
            raise Failure(f"the content has {blob.size} bytes, not {size}", hint="send the file again")
        try:
            self._file.flush()
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            self._store.adopt(self._path, blob)
        except OSError as error:
            raise HostFailed(f"cannot store a file: {error.strerror}", hint="free space in the blob store") from error
        self.committed = blob
        return blob


class BlobStore:
    """One directory of blobs; any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def name_of(data: bytes) -> str:
        """The SHA-256 that names *data*, stored or not."""
        return hashlib.sha256(data).hexdigest()

    def path(self, sha256: str) -> Path:
        """Where the blob is or would be. Errors: Failure if *sha256* is no lower-case hex digest."""
        if not _SHA256.fullmatch(sha256):
            raise Failure(f"{sha256[:80]!r} is no SHA-256")
        return self.root / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def find(self, sha256: str) -> Blob | None:
        try:
            return Blob(sha256, self.path(sha256).stat().st_size)
        except FileNotFoundError:
            return None

    def open(self, sha256: str) -> IO[bytes]:
        """Errors: Failure if there is no such blob."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise Failure(f"no blob {sha256}", hint="it was never uploaded, or was collected") from error

    def read(self, sha256: str, *, limit: int = 256 * 1024 * 1024) -> bytes:
        """The whole content, verified. Errors: Failure if missing or larger than *limit*; HostFailed if damaged."""
        with self.open(sha256) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Failure(f"blob {sha256} is larger than {limit} bytes")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise HostFailed(f"blob {sha256} is damaged", hint=f"the disk lost data: remove {self.path(sha256)}")
        return data

    @contextmanager
    def incoming(self, *, limit: int | None = None) -> Iterator[Incoming]:
        """Write a blob piece by piece (*limit* in bytes); what is not committed is gone at the end of the block."""
        fd, name = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(fd, "wb") as file:
                yield Incoming(self, file, Path(name), limit)
        finally:
            Path(name).unlink(missing_ok=True)

    def put(self, data: bytes | Iterable[bytes], *, sha256: str | None = None, limit: int | None = None) -> Blob:
        """Store *data* whole. Errors: as Incoming's."""
        with self.incoming(limit=limit) as new:
            for chunk in [data] if isinstance(data, bytes) else data:
                new.write(chunk)
            return new.commit(sha256=sha256)

    def put_file(self, path: Path, *, sha256: str | None = None, limit: int | None = None) -> Blob:
        """Copy *path* into the store."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(_CHUNK), b""), sha256=sha256, limit=limit)

    def adopt(self, temporary: Path, blob: Blob) -> None:
        """Move a synced file of this file system in; one that is already there stays."""
        target = self.path(blob.sha256)
        if not target.is_file():
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                sync_directory(self.root)
            temporary.replace(target)
        sync_directory(target.parent)  # also if another process renamed it an instant ago

    def remove(self, sha256: str) -> None:
        """For the collector alone, after it has made sure in SQL that nothing holds the blob."""
        self.path(sha256).unlink(missing_ok=True)

    def walk(self) -> Iterator[tuple[Blob, float]]:
        """Each blob with the time of its arrival (seconds since 1970): the collector leaves young ones alone."""
        for directory in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(directory.iterdir()):
                try:
                    facts = file.stat()
                except FileNotFoundError:  # removed while we look
                    continue
                yield Blob(directory.name + file.name, facts.st_size), facts.st_mtime

    def sweep_incoming(self, *, older_than: float = 86400.0) -> int:
        """Remove what killed writers left, by age in seconds; the number of files removed."""
        border = time.time() - older_than
        removed = 0
        for file in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # its writer has just finished
                if file.stat().st_mtime < border:
                    file.unlink()
                    removed += 1
        return removed
