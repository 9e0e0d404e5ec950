"""What every store of blobs does, whatever keeps the bytes."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from debcore.blobs import CHUNK, Blob, BlobStore
from debcore.blobs_files import FileObjects
from debcore.blobs_s3 import S3Objects
from debcore.errors import Failure, HostFailed
from tests.contract.blobs.s3 import BUCKET

HELLO = hashlib.sha256(b"hello").hexdigest()
BIG = os.urandom(3 * CHUNK + 17)
BIG_NAME = hashlib.sha256(BIG).hexdigest()


def spoil(store: BlobStore, sha256: str, data: bytes) -> None:
    """Other bytes under a blob's name, as a bad disk or a cut transfer leaves them."""
    if isinstance(store.objects, FileObjects):
        path = store.path(sha256)
        path.chmod(0o644)
        path.write_bytes(data)
    else:
        assert isinstance(store.objects, S3Objects)
        key = f"farm/{sha256[:2]}/{sha256[2:]}"
        store.objects._client.put_object(Bucket=BUCKET, Key=key, Body=data)


def names(store: BlobStore) -> list[Blob]:
    return [blob for blob, _ in store.walk()]


def test_what_was_put_is_there(store: BlobStore) -> None:
    assert store.put(b"hello", sha256=HELLO) == Blob(HELLO, 5)
    assert store.put([BIG[:1000], BIG[1000:]]) == Blob(BIG_NAME, len(BIG))
    assert (store.read(HELLO), store.read(BIG_NAME)) == (b"hello", BIG)
    with store.open(BIG_NAME) as file:
        assert os.fstat(file.fileno()).st_size == len(BIG)
        file.seek(CHUNK)
        assert file.read(10) == BIG[CHUNK : CHUNK + 10]
    assert b"".join(store.stream(BIG_NAME)) == BIG
    assert b"".join(store.read_part(BIG_NAME, 5, CHUNK + 9)) == BIG[5 : CHUNK + 9]
    assert list(store.read_part(BIG_NAME, 7, 7)) == []
    assert store.put(b"") == Blob(hashlib.sha256().hexdigest(), 0)
    assert store.read(hashlib.sha256().hexdigest()) == b""
    assert list((store.root / "incoming").iterdir()) == []


def test_walk_and_remove(store: BlobStore) -> None:
    before = time.time() - 5
    store.put(b"hello")
    store.put(BIG)
    assert sorted(names(store), key=lambda b: b.size) == [Blob(HELLO, 5), Blob(BIG_NAME, len(BIG))]
    assert all(before <= at <= time.time() + 5 for _, at in store.walk())
    store.remove(HELLO)
    store.remove(HELLO)
    assert (store.find(HELLO), store.has(BIG_NAME)) == (None, True)
    assert names(store) == [Blob(BIG_NAME, len(BIG))]


def test_what_lies_is_not_kept(store: BlobStore) -> None:
    with pytest.raises(Failure, match="not 0000"):
        store.put(b"hello", sha256="0" * 64)
    with store.incoming(limit=4) as new, pytest.raises(Failure, match="larger than 4"):
        new.write(b"hello")
    with store.incoming() as new:
        new.write(b"hello")
        with pytest.raises(Failure, match="5 bytes, not 6"):
            new.commit(size=6)
    with store.incoming() as new:
        new.write(b"never committed")
    assert names(store) == []
    assert list((store.root / "incoming").iterdir()) == []


def test_missing(store: BlobStore) -> None:
    assert (store.find(HELLO), store.has(HELLO)) == (None, False)
    for use in (store.read, store.open, lambda name: list(store.stream(name))):
        with pytest.raises(Failure, match="no blob"):
            use(HELLO)
    with pytest.raises(Failure, match="no SHA-256"):
        store.find("../../etc/passwd")


@pytest.mark.parametrize("how", ["truncated", "changed", "longer"])
def test_damage_is_found_on_each_way_out(store: BlobStore, how: str) -> None:
    store.put(BIG)
    spoil(store, BIG_NAME, {"truncated": BIG[:CHUNK], "changed": b"x" + BIG[1:], "longer": BIG + b"x"}[how])
    for use in (store.read, store.open):
        with pytest.raises(HostFailed, match="damaged"):
            use(BIG_NAME)
    got = bytearray()
    with pytest.raises(HostFailed, match="damaged"):
        got.extend(byte for piece in store.stream(BIG_NAME) for byte in piece)
    assert len(got) < len(BIG), "whoever copies it to a client ends before the announced length"


@pytest.mark.parametrize("size", [0, CHUNK])
def test_a_truncated_blob_is_replaced_when_it_comes_again(store: BlobStore, size: int) -> None:
    store.put(BIG)
    spoil(store, BIG_NAME, BIG[:size])
    assert store.find(BIG_NAME) == Blob(BIG_NAME, size)
    store.put(BIG)
    assert store.read(BIG_NAME) == BIG


def test_many_writers_of_one_blob(store: BlobStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: store.put(b"hello"), range(12))) == {Blob(HELLO, 5)}
    assert names(store) == [Blob(HELLO, 5)]


def test_nothing_else_is_taken_for_a_blob(store: BlobStore) -> None:
    if isinstance(store.objects, S3Objects):
        store.objects._client.put_object(Bucket=BUCKET, Key="farm/ab/README", Body=b"x")
        store.objects._client.put_object(Bucket=BUCKET, Key="other/ab/x", Body=b"x")
    else:
        (store.root / "ab").mkdir()
        (store.root / "ab/README").write_text("x")
    assert names(store) == []
