"""Roots of builds that failed, kept to be looked at: failed/ID/{meta.json,lock,root/,build/} of the store.

`root` and `build` are the throw-away directories of the build, moved here by rename. Only the newest few are kept, and
none for long; what is in use stays.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debcore.errors import CommandFailed, Failure, HostFailed
from debcore.path import sync_directory, write_file
from debroot import owned
from debroot.locks import take_free
from debroot.store import Layer, Store

#: So many are kept; the oldest one goes when another comes.
COUNT = 4
#: Seconds after which one is removed in any case.
AGE = 7 * 86400.0


@dataclass(frozen=True)
class Kept:
    """One kept root. `about` is what the caller wrote down."""

    id: str
    path: Path
    layer: str
    made_at: float  #: seconds since the epoch
    size: int  #: bytes
    about: Mapping[str, Any]


def keep_root(store: Store, layer: Layer, upper: Path, build: Path, about: Mapping[str, Any]) -> Kept:
    """Take two directories of Store.throwaway() out of its hands. Nothing may run in them any more.

    What lies in memory is copied, so that nothing has to stay there. Errors: HostFailed if that fails.
    """
    home = store.path / "failed"
    home.mkdir(exist_ok=True)
    home.chmod(0o711)  # as the store's other directories: root inside passes through
    name, now = secrets.token_hex(8), time.time()
    size = sum(owned.measure_tree(tree, store.idmap) for tree in (upper, build))
    known = {"layer": layer.id, "suite": layer.suite, "arch": layer.arch, "made_at": now, "size": size, "about": about}
    with store.workplace() as place:
        try:
            _take(store, upper, place / "root")
            _take(store, build, place / "build")
        except (OSError, CommandFailed) as error:
            hint = "make room on the disk of the store: deb-mock gc --max-size 20G"
            raise HostFailed(f"the root cannot be kept: {error}", hint=hint) from error
        write_file(place / "meta.json", json.dumps(known))
        place.rename(home / name)
        sync_directory(home)
    kept = Kept(name, home / name, layer.id, now, size, about)
    trim_kept(store)
    return kept


def _take(store: Store, tree: Path, target: Path) -> None:
    """The workplace with *tree* becomes *target*: renamed, or copied if it lies on another file system."""
    try:
        tree.parent.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target.mkdir()
        target.chmod(0o711)
        (target / "lock").touch()
        owned.make_directories(target, ["upper", "work"], store.idmap)
        owned.copy_content(tree, target / "upper", store.idmap)


def find_kept(store: Store) -> tuple[Kept, ...]:
    """All that are whole, newest first."""
    found = []
    for meta in (store.path / "failed").glob("*/meta.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(meta.read_text())
            made_at, size = float(known["made_at"]), int(known["size"])
            found.append(Kept(meta.parent.name, meta.parent, known["layer"], made_at, size, known["about"]))
    return tuple(sorted(found, key=lambda kept: -kept.made_at))


@contextmanager
def open_kept(store: Store, kept: Kept) -> Iterator[tuple[Layer, Path, Path]]:
    """Its layer, upper and build directory, for this process alone. Errors: Failure if it is in use or gone."""
    fd = take_free(kept.path)
    if fd is None:
        raise in_use()
    try:
        layer = store.find(kept.layer)
        if layer is None:
            raise Failure(f"layer {kept.layer} below the failed build is gone", hint="build it again")
        yield layer, kept.path / "root" / "upper", kept.path / "build" / "upper"
    finally:
        os.close(fd)


def in_use() -> Failure:
    return Failure("the root of the failed build is in use", hint="wait for the command that uses it")


def remove_kept(store: Store, kept: Kept) -> bool:
    """False if it is in use."""
    fd = take_free(kept.path)
    if fd is None:
        return False
    try:
        (kept.path / "meta.json").unlink(missing_ok=True)  # from here on nobody finds it
        owned.remove_names(kept.path, [p.name for p in kept.path.iterdir() if p.name != "lock"], store.idmap)
        owned.remove_tree(kept.path, store.idmap)
    finally:
        os.close(fd)
    return True


def trim_kept(store: Store, *, count: int = COUNT, max_age: float = AGE) -> tuple[str, ...]:
    """Remove what is too old or too much, and what a killed process left half removed; the ids of what went."""
    whole = find_kept(store)
    oldest = time.time() - max_age
    doomed = [kept for number, kept in enumerate(whole) if number >= count or kept.made_at < oldest]
    known = {kept.id for kept in whole}
    home = store.path / "failed"
    for path in home.iterdir() if home.is_dir() else ():
        if path.name not in known:
            doomed.append(Kept(path.name, path, "", 0.0, 0, {}))
    return tuple(kept.id for kept in doomed if remove_kept(store, kept))
