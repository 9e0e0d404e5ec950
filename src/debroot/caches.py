"""What plugins keep between builds, such as compiled objects: plugins/NAME/KEY, a directory of a user inside.

Whoever uses one holds the lock of locks/cache-HASH, whose time says when that was: nothing of ours lies in the
directory itself, because builds write to it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from debcore.errors import Failure
from debroot import owned
from debroot.layers import StoreEntry
from debroot.locks import remove_lock, take_free, take_free_lasting, take_lasting

if TYPE_CHECKING:
    from debroot.store import Store

#: Prefix of caches that are being removed.
GONE = ".gone-"


def open_cache(store: Store, name: str, key: str) -> tuple[Path, int]:
    """The cache *key* of the plugin *name*, made if it is missing, and a descriptor with its shared lock, which the
    caller closes. Both names are plain file names."""
    fd = take_lasting(_lock_of(store, f"{name}/{key}"))
    path = store.path / "plugins" / name / key
    try:
        if not path.exists():
            for parent in (path.parent.parent, path.parent):
                parent.mkdir(exist_ok=True)
                parent.chmod(0o711)
            with suppress(FileExistsError):  # another build of the same package was faster
                owned.make_directories(path.parent, [key], store.idmap)
    except BaseException:
        os.close(fd)
        raise
    return path, fd


def list_caches(store: Store, *, measured: bool = True) -> Iterator[StoreEntry]:
    """All of them, as NAME/KEY. *measured*: with their sizes, which takes a walk over each."""
    for path in sorted((store.path / "plugins").glob("*/*")):
        if path.name.startswith(GONE):
            continue
        id_ = f"{path.parent.name}/{path.name}"
        lock = _lock_of(store, id_)
        used_at, in_use = path.stat().st_mtime, False
        if (lock / "lock").exists():
            used_at = (lock / "lock").stat().st_mtime
            fd = take_free(lock)
            in_use = fd is None
            if fd is not None:
                os.close(fd)
        size = owned.measure_tree(path, store.idmap) if measured else 0
        yield StoreEntry("cache", id_, "", "", size, used_at, in_use, 0)


def remove_cache(store: Store, id_: str) -> None:
    """Errors: Failure if a build uses it."""
    path = store.path / "plugins" / id_
    lock = _lock_of(store, id_)
    fd = take_free_lasting(lock)
    if fd is None:
        raise Failure(f"the cache {id_} is in use", hint="wait for the build that uses it")
    try:
        doomed = path.with_name(f"{GONE}{path.name}"[:255])
        owned.remove_names(path.parent, [doomed.name], store.idmap)
        with suppress(FileNotFoundError):
            path.rename(doomed)  # in its own directory: a user may not move what is another id's into another one
        owned.remove_names(path.parent, [doomed.name], store.idmap)
        remove_lock(lock)
    finally:
        os.close(fd)


def sweep_caches(store: Store) -> None:
    """Remove the rest of caches whose removal was killed."""
    for path in (store.path / "plugins").glob(f"*/{GONE}*"):
        owned.remove_names(path.parent, [path.name], store.idmap)


def _lock_of(store: Store, id_: str) -> Path:
    return store.path / "locks" / f"cache-{hashlib.sha256(id_.encode()).hexdigest()[:24]}"
