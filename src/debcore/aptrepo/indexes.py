"""An index (Packages, Sources) in the forms that apt fetches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from debcore.compress import CODECS, BlockCache, Codec, compress_blocks, split_blocks


@dataclass(frozen=True)
class IndexFile:
    """One file that Release lists. `data` is None for the plain form, which is hashed and never served."""

    path: str  #: below dists/SUITE
    size: int  #: bytes
    sha256: str
    data: bytes | None


def make_index(path: str, entries: Iterable[tuple[str, str]], cache: BlockCache) -> tuple[IndexFile, ...]:
    """The plain, gz and zst form of the index at *path*.

    *entries* are (package name, stanza text) in the order in which they shall stand. Compression costs what changed
    since *cache* was last used; reading and hashing cost what exists.
    """
    return make_file(path, ((name, text.encode() + b"\n") for name, text in entries), cache)


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
    files = [IndexFile(path, size, plain.hexdigest(), None)]
    for codec, data in made.items():
        whole = bytes(data) or codec.compress(b"")
        files.append(IndexFile(f"{path}.{codec.name}", len(whole), hashlib.sha256(whole).hexdigest(), whole))
    return tuple(files)
