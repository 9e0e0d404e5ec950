"""An index (Packages, Sources) in the forms that apt fetches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import zstandard

from debcore.compress import CODECS, ZSTD, BlockCache, Codec, compress_blocks, split_blocks
from debcore.errors import HostFailed


@dataclass(frozen=True)
class IndexFile:
    """One file that Release lists. `data` is None for the plain form, which is never served, and for what is stored."""

    path: str  #: below dists/SUITE
    size: int  #: bytes
    sha256: str
    data: bytes | None


def join_blocks(path: str, blocks: Iterable[Mapping[str, bytes]]) -> tuple[IndexFile, ...]:
    """The plain, gz and zst form of the index at *path* from its *blocks*, each compressed apart, by codec's name.

    The plain text is what the zst form unpacks to; it is hashed and not held. Errors: HostFailed on a damaged block.
    """
    plain, size = hashlib.sha256(), 0
    made = {codec: bytearray() for codec in CODECS.values()}
    unpack = zstandard.ZstdDecompressor()
    for block in blocks:
        try:
            text = unpack.decompress(block[ZSTD.name])
        except zstandard.ZstdError as error:
            raise HostFailed(
                f"a kept block of {path} is damaged: {error}", hint="empty the table index_block"
            ) from error
        plain.update(text)
        size += len(text)
        for codec, data in made.items():
            data += block[codec.name]
    return _finish(path, plain.hexdigest(), size, made)


def make_file(
    path: str, pieces: Iterable[tuple[str, bytes]], cache: BlockCache, codecs: Iterable[Codec] = CODECS.values()
) -> tuple[IndexFile, ...]:
    """The plain form and those of *codecs* of what *pieces* (name, bytes) are joined; the plain one is never held."""
    plain, size = hashlib.sha256(), 0
    made: dict[Codec, bytearray] = {codec: bytearray() for codec in codecs}
    for block in split_blocks(pieces):
        plain.update(block)
        size += len(block)
        for codec, data in made.items():
            data += compress_blocks([block], codec, cache)
    return _finish(path, plain.hexdigest(), size, made)


def _finish(path: str, sha256: str, size: int, made: Mapping[Codec, bytearray]) -> tuple[IndexFile, ...]:
    files = [IndexFile(path, size, sha256, None)]
    for codec, data in made.items():
        whole = bytes(data) or codec.compress(b"")
        files.append(IndexFile(f"{path}.{codec.name}", len(whole), hashlib.sha256(whole).hexdigest(), whole))
    return tuple(files)
