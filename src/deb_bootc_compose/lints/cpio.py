"""Reading initramfs images: cpio archives (newc), one after the other, each maybe compressed.

Standard library and zstd(1).

Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from debcore.command import run
from debcore.errors import HostFailed

MAGIC = (b"070701", b"070702")
HEADER = 110
TRAILER = "TRAILER!!!"
ZSTD = b"\x28\xb5\x2f\xfd"


def read_archive(path: Path, *, keep: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """{name: content} of all archives in *path*; content only for names in *keep*, else empty.

    Errors: ValueError if it is no such file; HostFailed if zstd(1) is needed and missing.
    """
    return {name: content if name in keep else b"" for name, content in walk_archive(path.read_bytes())}


def walk_archive(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of all archives in *data*. Errors: as read_archive."""
    while data := data.lstrip(b"\0"):
        if not data.startswith(MAGIC):
            data = _decompress(data)
            if not data.startswith(MAGIC):
                raise ValueError("what is compressed is no cpio archive")
        end = 0
        for name, content, at in _members(data):
            end = at
            if name != TRAILER:
                yield name.removeprefix("./").lstrip("/"), content
        data = data[end:]


def _members(data: bytes) -> Iterator[tuple[str, bytes, int]]:
    """(name, content, offset of the end) of one archive, the trailer included."""
    at = 0
    while True:
        header = data[at : at + HEADER]
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise ValueError("the cpio archive is cut off")
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        name = data[at + HEADER : at + HEADER + name_size - 1].decode("utf-8", "replace")
        start = (at + HEADER + name_size + 3) & ~3
        at = (start + size + 3) & ~3
        yield name, data[start : start + size], at
        if name == TRAILER:
            return


def _decompress(data: bytes) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(b"\xfd7zXZ"):
            return lzma.decompress(data)
        if data.startswith(ZSTD):
            done = run(["zstd", "-dc"], stdin=data, check=False)
            if done.status:
                raise ValueError("zstd cannot read it")
            return done.stdout
    except (OSError, lzma.LZMAError, zlib.error, EOFError) as error:
        if isinstance(error, HostFailed):
            raise
        raise ValueError(str(error)) from error
    raise ValueError("unknown compression")
