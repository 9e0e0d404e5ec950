"""Blobs appear whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from debcore.blobs import Blob, BlobStore
from debcore.errors import Failure, HostFailed

HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def left(store: BlobStore) -> list[str]:
    return [str(p.relative_to(store.root)) for p in store.root.rglob("*") if p.is_file()]


def test_put_and_read(store: BlobStore, tmp_path: Path) -> None:
    blob = store.put(b"hello", sha256=HELLO)
    assert blob == Blob(HELLO, 5) == store.find(HELLO) == store.put([b"he", b"llo"])
    assert store.has(HELLO)
    assert store.read(HELLO) == b"hello"
    with store.open(HELLO) as file:
        assert file.read() == b"hello"
    assert store.path(HELLO).stat().st_mode & 0o777 == 0o444
    (tmp_path / "f").write_bytes(b"file")
    other = store.put_file(tmp_path / "f")
    assert {blob for blob, _ in store.walk()} == {Blob(HELLO, 5), other}
    store.remove(HELLO)
    assert not store.has(HELLO)
    assert store.find(HELLO) is None
    assert len(left(store)) == 1


def test_what_lies_is_not_kept(store: BlobStore) -> None:
    with pytest.raises(Failure, match="has SHA-256"):
        store.put(b"other", sha256=HELLO)
    with pytest.raises(Failure, match="larger than 3 bytes"):
        store.put(b"hello", limit=3)
    with store.incoming() as new:
        new.write(b"hello")
        with pytest.raises(Failure, match="has 5 bytes, not 4"):
            new.commit(size=4)
    with store.incoming() as new:
        new.write(b"never committed")
    assert left(store) == []


def test_an_upload_that_breaks_off_leaves_nothing(store: BlobStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"hel"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.put(chunks())
    assert left(store) == []


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "A" * 64, HELLO + "\n", HELLO[:-1]])
def test_only_digests_name_blobs(store: BlobStore, name: str) -> None:
    for use in (store.path, store.has, store.find, store.open, store.remove):
        with pytest.raises(Failure, match="no SHA-256"):
            use(name)


def test_missing_large_and_damaged(store: BlobStore) -> None:
    with pytest.raises(Failure, match="no blob"):
        store.read(HELLO)
    store.put(b"hello")
    with pytest.raises(Failure, match="larger than 4"):
        store.read(HELLO, limit=4)
    path = store.path(HELLO)
    path.chmod(0o644)
    path.write_bytes(b"hellO")
    with pytest.raises(HostFailed, match="damaged"):
        store.read(HELLO)


def test_a_full_disk_is_the_hosts_fault(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostFailed, match="No space left"):
        store.put(b"hello")
    assert left(store) == []


def test_many_writers_of_one_blob(store: BlobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.put(b"hello"), range(40))) == {Blob(HELLO, 5)}
    assert len(left(store)) == 1


def test_what_killed_writers_left_is_swept_by_age(store: BlobStore) -> None:
    stale = store.root / "incoming/tmpdead"
    stale.write_bytes(b"x")
    os.utime(stale, (0, 0))
    (store.root / "incoming/tmpalive").write_bytes(b"x")
    assert store.sweep_incoming(older_than=60) == 1
    assert left(store) == ["incoming/tmpalive"]
