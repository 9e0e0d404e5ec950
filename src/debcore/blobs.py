"""Content-addressed files: a blob is named by the SHA-256 of its bytes, appears whole and durable, and never changes.

The bytes are kept by an adapter of the port `Objects`: files of a directory (debcore.blobs_files) or an S3 bucket
(debcore.blobs_s3). What is being written is in ROOT/incoming/, on a disk of ours, until its hash is known. Names say
nothing about access: who may read a blob, and what holds it, is the caller's affair.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from debcore.errors import Failure, HostFailed

_SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNK = 1024 * 1024  #: bytes read at once


@dataclass(frozen=True)
class Blob:
    sha256: str
    size: int  #: bytes


class StoreAway(HostFailed):
    """The place of the bytes cannot be reached now. Nothing is lost: the same call works later."""


class Objects(Protocol):
    """Where the bytes of blobs are. Names are SHA-256 that the caller has checked. Errors: StoreAway, anywhere."""

    def local(self, name: str) -> Path | None:
        """The file that has or would have the bytes; None where there are no files."""

    def size(self, name: str) -> int | None:
        """Bytes of the object; None if there is none."""

    def keep(self, file: Path, blob: Blob) -> None:
        """Take the synced *file* in, whole and durable when this returns. An object of the same size stays."""

    def read(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from *start* up to *end*, unchecked, less if it is shorter. Errors: FileNotFoundError."""

    def remove(self, name: str) -> None:
        """Whether it is there or not."""

    def walk(self) -> Iterator[tuple[Blob, float]]:
        """Each object with the time of its arrival (seconds since 1970)."""

    def sweep(self, older_than: float) -> int:
        """Give up what killed writers left, by age in seconds; the number of them."""


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
        _write(self._file, chunk)

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()

    def commit(self, *, sha256: str | None = None, size: int | None = None) -> Blob:
        """Durable when it returns. Errors: Failure if content and announcement differ; StoreAway."""
        blob = Blob(self._hash.hexdigest(), self.size)
        if sha256 is not None and sha256 != blob.sha256:
            raise Failure(f"the content has SHA-256 {blob.sha256}, not {sha256}", hint="send the file again")
        if size is not None and size != blob.size:
            raise Failure(f"the content has {blob.size} bytes, not {size}", hint="send the file again")
        try:
            self._file.flush()
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            self._store.objects.keep(self._path, blob)
        except OSError as error:
            raise HostFailed(f"cannot store a file: {error.strerror}", hint="free space in the blob store") from error
        self.committed = blob
        return blob


class BlobStore:
    """Blobs by name, checked on the way in and out; any number of processes may use one store at once."""

    def __init__(self, root: Path, objects: Objects | None = None) -> None:
        """*root*: for what is being written, and for the blobs themselves unless *objects* has them."""
        from debcore.blobs_files import FileObjects  # it needs Blob, which is here

        self.root = root
        self.objects: Objects = objects or FileObjects(root)
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def name_of(data: bytes) -> str:
        """The SHA-256 that names *data*, stored or not."""
        return hashlib.sha256(data).hexdigest()

    @staticmethod
    def check_name(sha256: str) -> str:
        """Errors: Failure if *sha256* is no lower-case hex digest."""
        if not _SHA256.fullmatch(sha256):
            raise Failure(f"{sha256[:80]!r} is no SHA-256")
        return sha256

    def local(self, sha256: str) -> Path | None:
        """The blob's file, which is there or not; None where blobs are no files. Errors: as check_name."""
        return self.objects.local(self.check_name(sha256))

    def path(self, sha256: str) -> Path:
        """As `local`. Errors: Failure where blobs are no files."""
        found = self.local(sha256)
        if found is None:
            raise Failure(f"blob {sha256} is no file of this host", hint="open it instead")
        return found

    def has(self, sha256: str) -> bool:
        return self.find(sha256) is not None

    def find(self, sha256: str) -> Blob | None:
        size = self.objects.size(self.check_name(sha256))
        return None if size is None else Blob(sha256, size)

    def open(self, sha256: str) -> IO[bytes]:
        """The whole content, verified, as a file with a descriptor.

        Errors: Failure if there is no such blob; HostFailed if it is damaged.
        """
        path = self.local(sha256)
        try:
            if path is None:
                return self._fetch(sha256)
            with ExitStack() as undo:
                file = undo.enter_context(path.open("rb"))
                self._check(sha256, hashlib.file_digest(file, "sha256").hexdigest())
                file.seek(0)
                undo.pop_all()
                return file
        except FileNotFoundError as error:
            raise self._missing(sha256) from error

    def _fetch(self, sha256: str) -> IO[bytes]:
        """A copy without a name."""
        with ExitStack() as undo:
            file = undo.enter_context(tempfile.TemporaryFile(dir=self._incoming))
            for chunk in self.stream(sha256):
                _write(file, chunk)
            file.seek(0)
            undo.pop_all()
            return file

    def stream(self, sha256: str) -> Iterator[bytes]:
        """The content piece by piece. The last one comes only if all of it has the right hash.

        Errors: Failure if there is no such blob; HostFailed if it is damaged.
        """
        digest, held = hashlib.sha256(), b""
        found = self.find(sha256)
        if found is None:
            raise self._missing(sha256)
        for chunk in self.read_part(sha256, 0, found.size):
            digest.update(chunk)
            if held:
                yield held
            held = chunk
        self._check(sha256, digest.hexdigest())
        yield held

    def read_part(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from *start* up to *end*, which no hash covers. Errors: Failure if there is no such blob."""
        try:
            yield from self.objects.read(self.check_name(sha256), start, end)
        except FileNotFoundError as error:
            raise self._missing(sha256) from error

    def read(self, sha256: str, *, limit: int = 256 * 1024 * 1024) -> bytes:
        """The whole content, verified. Errors: Failure if missing or larger than *limit*; HostFailed if damaged."""
        found = self.find(sha256)
        if found is not None and found.size > limit:
            raise Failure(f"blob {sha256} is larger than {limit} bytes")
        return b"".join(self.stream(sha256))

    def _check(self, sha256: str, found: str) -> None:
        if found != sha256:
            place = self.local(sha256) or "it from the bucket"
            raise HostFailed(f"blob {sha256} is damaged", hint=f"the disk lost data: remove {place}")

    def _missing(self, sha256: str) -> Failure:
        return Failure(f"no blob {sha256}", hint="it was never uploaded, or was collected")

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
            return self.put(iter(lambda: file.read(CHUNK), b""), sha256=sha256, limit=limit)

    def remove(self, sha256: str) -> None:
        """For the collector alone, after it has made sure in SQL that nothing holds the blob."""
        self.objects.remove(self.check_name(sha256))

    def walk(self) -> Iterator[tuple[Blob, float]]:
        """Each blob with the time of its arrival (seconds since 1970): the collector leaves young ones alone.

        What is named otherwise is no blob, and left out.
        """
        return (found for found in self.objects.walk() if _SHA256.fullmatch(found[0].sha256))

    def sweep_incoming(self, *, older_than: float = 86400.0) -> int:
        """Remove what killed writers left, by age in seconds; the number of files removed."""
        border = time.time() - older_than
        removed = self.objects.sweep(older_than)
        for file in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # its writer has just finished
                if file.stat().st_mtime < border:
                    file.unlink()
                    removed += 1
        return removed


def _write(file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise HostFailed(f"cannot store a file: {error.strerror}", hint="free space in the blob store") from error
