"""What is in the store beside roots: .debs, package lists, answers of apt, locks. How large, how old, in use or not."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from debcore.errors import Failure
from debroot import memory, owned, upper
from debroot.caches import list_caches, sweep_caches
from debroot.layers import StoreEntry
from debroot.locks import remove_lock, take_free, take_free_lasting

if TYPE_CHECKING:
    from debroot.store import Store

#: Seconds after which package lists, and answers of apt, that nobody has asked for are removed.
LISTS_AGE = 7 * 86400.0
#: Seconds after which what a kill left half written in the pool is removed, if somebody else uses the pool meanwhile.
HALF_AGE = 3600.0
#: What was found by trying, and is written only then.
FOUND = (memory.MARK.name, upper.MARK.name)
#: Seconds after which a lock that nobody has taken is removed.
LOCK_AGE = 30 * 86400.0


def is_old(path: Path, age: float) -> bool:
    """Older than *age* seconds, or from a future that a wrong clock has seen."""
    return abs(time.time() - path.lstat().st_mtime) > age


def list_pool(store: Store) -> Iterator[tuple[str, int, float]]:
    """Hash, bytes and time of each .deb."""
    for deb in (store.path / "pool").glob("??/*"):
        with suppress(FileNotFoundError):
            status = deb.stat()
            if stat.S_ISREG(status.st_mode):
                yield deb.name, status.st_size, status.st_mtime


@contextmanager
def holding_pool(store: Store) -> Iterator[bool]:
    """Whether nobody is about to use .debs of the pool, and for the time of the block nobody will."""
    fd = take_free_lasting(store.path / "locks" / "pool")
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def list_lists(store: Store) -> Iterator[StoreEntry]:
    """Package lists of each set of sources."""
    for place in sorted((store.path / "apt").iterdir()):
        with suppress(FileNotFoundError, NotADirectoryError):
            fd = take_free(_lock_of(store, place))
            if fd is not None:
                os.close(fd)
            stamp = place / "stamp"
            used_at = (stamp if stamp.exists() else place).stat().st_mtime
            yield StoreEntry(
                "lists", place.name, "", "", owned.measure_tree(place, store.idmap), used_at, fd is None, 0
            )


def remove_lists(store: Store, name: str) -> None:
    """Errors: Failure if somebody asks them now."""
    place = store.path / "apt" / name
    fd = take_free(_lock_of(store, place))
    if fd is None:
        raise Failure(f"the package lists {name} are in use", hint="wait for the command that uses them")
    try:
        owned.remove_tree(place, store.idmap)
    finally:
        os.close(fd)


def list_answers(store: Store) -> Iterator[Path]:
    """What apt answered: files of resolved/ but the notes of tools, and what trying this host found, which stays."""
    for path in (store.path / "resolved").iterdir():
        if path.is_file() and not path.name.startswith("tools-") and path.name not in FOUND:
            yield path


def sweep(store: Store) -> None:
    """Remove what nobody has asked for lately, and what a kill left half done."""
    for place in (store.path / "apt").iterdir():
        with suppress(Failure, FileNotFoundError, NotADirectoryError):
            stamp = place / "stamp"
            if is_old(stamp if stamp.exists() else place, LISTS_AGE):
                remove_lists(store, place.name)
    for answer in list_answers(store):
        with suppress(FileNotFoundError):
            if is_old(answer, LISTS_AGE):
                answer.unlink()
    with holding_pool(store) as free:
        for incoming in (store.path / "pool").glob("incoming-*"):
            with suppress(FileNotFoundError):
                if free or is_old(incoming, HALF_AGE):
                    incoming.unlink()
    for lock in (store.path / "locks").iterdir():
        with suppress(FileNotFoundError, NotADirectoryError):
            # that of a cache says when it was used last, and goes with it
            if not lock.name.startswith("cache-") and is_old(lock / "lock", LOCK_AGE):
                fd = take_free(lock)
                if fd is not None:
                    remove_lock(lock)
                    os.close(fd)
    sweep_caches(store)


def measure_rest(store: Store) -> int:
    """Bytes of what a size does not drive out: named roots, and roots of failed builds that are in use."""
    return measure_roots(store) + sum(_sizes(store, "failed"))


def measure_roots(store: Store, name: str = "*") -> int:
    """Bytes of the named roots whose names match."""
    return sum(owned.measure_tree(path, store.idmap) for path in (store.path / "roots").glob(f"{name}/states/*/root"))


def measure_store(store: Store) -> int:
    """Bytes of everything but leftovers."""
    entries = sum(_sizes(store, "layer", "failed")) + measure_roots(store)
    more = sum(entry.size for entry in (*list_caches(store), *list_lists(store)))
    return entries + more + sum(size for _, size, _ in list_pool(store))


def _sizes(store: Store, *kinds: str) -> Iterator[int]:
    from debroot.gc import list_store

    return (entry.size for entry in list_store(store, only=kinds))


def _lock_of(store: Store, place: Path) -> Path:
    return store.path / "locks" / f"apt-{place.name.rpartition('-')[0]}"
