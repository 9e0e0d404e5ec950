"""Uploads in pieces: what came stays for a day, and the upload goes on where it was cut off.

A piece says at which offset it begins; the last one is followed by the check of the whole. Each caller has partial
files of its own, so that nobody can spoil another's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deb_orchestrator.services.hub import Conflict, Hub, Principal
from deb_orchestrator.services.uploads import keep_blob, take_hold
from debcore.blobs import Blob, StoreAway
from debcore.errors import Failure, HostFailed

_CHUNK = 1024 * 1024
#: Partial files that one caller may have.
MAX_PARTIALS = 64


class WrongOffset(Conflict):
    """The piece begins elsewhere than where the last one ended. `offset` in bytes."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the hub has {offset} bytes", hint="go on there")
        self.offset = offset


def find_offset(hub: Hub, who: Principal, sha256: str) -> int:
    """Bytes that the hub has of the caller's partial file; 0 if none. Errors: Failure if *sha256* is none."""
    try:
        return _path(hub, who, sha256).stat().st_size
    except FileNotFoundError:
        return 0


class Piece:
    """Where a piece is written; `end` says how much of the file is here now (bytes)."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self.end, self._size = file, offset, size

    def write(self, data: bytes) -> None:
        """Errors: Failure if it is more than was announced; HostFailed when the disk is full."""
        if self.end + len(data) > self._size:
            raise Failure(f"the file is larger than the {self._size} bytes announced", hint="begin again")
        try:
            self._file.write(data)
        except OSError as error:
            raise HostFailed(f"cannot store a file: {error.strerror}", hint="free space in the blob store") from error
        self.end += len(data)

    @property
    def complete(self) -> bool:
        return self.end == self._size


@contextmanager
def open_piece(hub: Hub, who: Principal, sha256: str, *, offset: int, size: int) -> Iterator[Piece]:
    """A piece at *offset* of a file of *size* bytes. What was written stays, whatever happens, unless it is a lie.

    Errors: WrongOffset; Conflict while another call writes; Failure if it is too much.
    """
    take_hold(hub, who, sha256, size)
    path = _path(hub, who, sha256)
    mine = path.name.rpartition("-")[2]
    if not path.exists() and len(list(path.parent.glob(f"part-*-{mine}"))) >= MAX_PARTIALS:
        raise Failure(f"{MAX_PARTIALS} unfinished uploads are too many", hint="finish them, or wait a day")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another call sends the same file", hint="wait for its end") from None
        have = os.fstat(file.fileno()).st_size
        if have != offset or have > size:
            raise WrongOffset(have)
        try:
            yield Piece(file, offset, size)
        except Failure:  # more than announced, or the disk is full: nothing of it is good
            path.unlink(missing_ok=True)
            raise


def finish_upload(hub: Hub, who: Principal, sha256: str, size: int) -> Blob:
    """The partial file becomes the blob. Errors: Failure if it has another hash, and nothing is kept; StoreAway."""
    path = _path(hub, who, sha256)
    try:
        with path.open("rb") as file, hub.blobs.incoming(limit=size) as new:
            while chunk := file.read(_CHUNK):
                new.write(chunk)
            blob = new.commit(sha256=sha256, size=size)
        keep_blob(hub, blob, sent_by=who)
    except StoreAway:  # what came is good: the next call sends an empty piece and goes on here
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return blob


def _path(hub: Hub, who: Principal, sha256: str) -> Path:
    hub.blobs.check_name(sha256)
    mine = hashlib.sha256(f"{who.scope} {who.name} {who.agent}".encode()).hexdigest()[:16]
    return hub.blobs.root / "incoming" / f"part-{sha256}-{mine}"
