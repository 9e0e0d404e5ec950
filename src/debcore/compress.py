"""gzip and zstd whose cost is what changed: blocks are compressed apart, kept by content, and joined.

gzip members (RFC 1952, 2.2) and zstd frames (RFC 8878, 3.1) may follow one another in one file, and apt reads such
files. xz streams may too, but apt reads the first and is silent about the rest: `compress_xz` makes one stream, anew.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import zstandard


@dataclass(frozen=True)
class Codec:
    """`name` is the file suffix; `recipe` changes whenever the bytes made could, and so keys the cache."""

    name: str
    recipe: str
    compress: Callable[[bytes], bytes]


class BlockCache(Protocol):
    """Compressed blocks by (recipe, SHA-256 of the plain block). Losing one costs time only."""

    def find(self, recipe: str, sha256: str) -> bytes | None: ...

    def put(self, recipe: str, sha256: str, compressed: bytes) -> None: ...


class MemoryCache:
    """A cache that lives as long as the process; also the test double."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, str], bytes] = {}
        self.misses = 0

    def find(self, recipe: str, sha256: str) -> bytes | None:
        return self.blocks.get((recipe, sha256))

    def put(self, recipe: str, sha256: str, compressed: bytes) -> None:
        self.misses += 1
        self.blocks[recipe, sha256] = compressed


def compress_gzip(data: bytes) -> bytes:
    """One gzip member without name and time stamp."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return squeeze.compress(data) + squeeze.flush()


def compress_zstd(data: bytes) -> bytes:
    """One zstd frame with its content size and checksum."""
    return zstandard.ZstdCompressor(level=12, write_checksum=True).compress(data)


def compress_xz(pieces: Iterable[bytes]) -> bytes:
    """One xz stream of *pieces*, whatever of them was there before."""
    squeeze = lzma.LZMACompressor(check=lzma.CHECK_CRC64, preset=6)
    return b"".join([*(squeeze.compress(piece) for piece in pieces), squeeze.flush()])


GZIP = Codec("gz", f"gzip-9-zlib{zlib.ZLIB_RUNTIME_VERSION}", compress_gzip)
ZSTD = Codec("zst", f"zstd-12-{'.'.join(map(str, zstandard.ZSTD_VERSION))}", compress_zstd)
CODECS: Mapping[str, Codec] = {codec.name: codec for codec in (GZIP, ZSTD)}


def split_blocks(
    pieces: Iterable[tuple[str, bytes]], *, mean: int = 256 * 1024, limit: int = 1024 * 1024
) -> Iterator[bytes]:
    """Join pieces (name, bytes) to blocks of about *mean* bytes, at most *limit* and one piece.

    A block ends where a piece's name says so and not at a count, so a piece that is added, changed or gone changes
    the blocks next to it and no other.
    """
    block: list[bytes] = []
    size = 0
    for name, data in pieces:
        if block and (size >= limit or (size >= mean // 2 and _is_border(name, mean))):
            yield b"".join(block)
            block, size = [], 0
        block.append(data)
        size += len(data)
    if block:
        yield b"".join(block)


def compress_blocks(blocks: Iterable[bytes], codec: Codec, cache: BlockCache) -> bytes:
    """One file of *blocks*, compressed apart. No blocks at all give a file that unpacks to nothing."""
    return b"".join(_compress_block(block, codec, cache) for block in blocks) or codec.compress(b"")


def _compress_block(block: bytes, codec: Codec, cache: BlockCache) -> bytes:
    key = hashlib.sha256(block).hexdigest()
    found = cache.find(codec.recipe, key)
    if found is None:
        found = codec.compress(block)
        cache.put(codec.recipe, key, found)
    return found


def _is_border(name: str, mean: int) -> bool:
    """True for one name in so many that blocks of 1 KiB pieces (a stanza) reach *mean* on average."""
    odds = max(2, mean // 2 // 1024)
    return zlib.crc32(name.encode()) % odds == 0
