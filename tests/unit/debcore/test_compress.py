"""Joined blocks unpack to the whole, and cost what changed."""

from __future__ import annotations

import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from debcore.command import run
from debcore.compress import CODECS, GZIP, ZSTD, Codec, MemoryCache, compress_blocks, split_blocks

PIECES = [(f"package{i}", f"Package: package{i}\nDescription: {'text ' * (i % 200)}\n\n".encode()) for i in range(3000)]


def unpack(codec: Codec, data: bytes) -> bytes:
    """As other programs read it: gzip itself, and libzstd's stream."""
    if codec is GZIP:
        return run(["gzip", "-dc"], stdin=data).stdout
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_joined_blocks_are_one_file_to_others(codec: Codec) -> None:
    blocks = list(split_blocks(PIECES, mean=64 * 1024))
    assert len(blocks) > 5
    packed = compress_blocks(blocks, codec, MemoryCache())
    assert unpack(codec, packed) == b"".join(data for _, data in PIECES)
    assert unpack(codec, compress_blocks([], codec, MemoryCache())) == b""


def test_gzip_holds_no_time_stamp() -> None:
    packed = GZIP.compress(b"x")
    assert packed[4:8] == b"\0\0\0\0"
    assert zlib.decompress(packed, 31) == b"x"


def test_a_changed_package_costs_its_block() -> None:
    cache = MemoryCache()
    compress_blocks(split_blocks(PIECES, mean=64 * 1024), ZSTD, cache)
    cold = cache.misses
    inserted = [*PIECES[:1500], ("package1500a", b"Package: new\n\n"), *PIECES[1500:]]
    compress_blocks(split_blocks(inserted, mean=64 * 1024), ZSTD, cache)
    assert cache.misses - cold <= 2
    warm = cache.misses
    compress_blocks(split_blocks(PIECES[10:], mean=64 * 1024), ZSTD, cache)
    assert cache.misses - warm <= 2
    assert cold > 10


@given(st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=50)), max_size=60))
def test_nothing_is_lost_between_blocks(pieces: list[tuple[str, bytes]]) -> None:
    blocks = list(split_blocks(pieces, mean=100, limit=300))
    assert b"".join(blocks) == b"".join(data for _, data in pieces)
    assert all(len(block) <= 350 for block in blocks)
