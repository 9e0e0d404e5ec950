"""Whether a sparse file still is what it was, without reading its holes: SHA-256 of a whole disk takes far longer.

Source: lseek(2), SEEK_DATA and SEEK_HOLE.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

PIECE = 1 << 20  #: bytes that are looked at together


def fingerprint(path: Path) -> str:
    """BLAKE2b over the size and every piece that is not all zeros, with its place: holes or not, it is the same."""
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "little"))
        for at in _pieces(file.fileno(), size):
            content = os.pread(file.fileno(), PIECE, at)
            if content.count(0) != len(content):
                digest.update(at.to_bytes(8, "little") + content)
    return digest.hexdigest()


def _pieces(fd: int, size: int) -> Iterator[int]:
    """Where pieces begin that are not in holes, in order."""
    at = 0
    while at < size:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        at = data - data % PIECE
        yield at
        at += PIECE
