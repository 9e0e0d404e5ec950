"""What the store holds, and making it smaller: leftovers of killed processes first, then what was not used for longest.

Never what is in use: a lock is taken exclusively and without waiting, what stands on a layer is looked at while its
lock is ours, and a layer that a process has found stays locked by it (Store.find). What is to go is a plan, a value
made without touching anything, so that a dry run shows what a run does.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from debcore.errors import Failure
from debroot import owned
from debroot.caches import list_caches, remove_cache
from debroot.layers import StoreEntry
from debroot.locks import take_free
from debroot.sweep import (
    holding_pool,
    is_old,
    list_lists,
    list_pool,
    measure_rest,
    measure_roots,
    measure_store,
    remove_lists,
    sweep,
)
from debroot.upper import leave_memory, list_workplaces, workplaces

if TYPE_CHECKING:
    from debroot.store import Store

#: Seconds after which what a kill left not yet locked in tmp/ is removed.
UNLOCKED_AGE = 60.0

#: Prefix of directories in tmp/ that are not locked yet.
NEW = "new-"


@dataclass(frozen=True)
class Removal:
    """One thing that goes, or went."""

    kind: str  #: leftover, failed, root, deb, lists, cache or layer
    id: str
    size: int  #: bytes
    why: str


def list_store(
    store: Store, *, only: Sequence[str] = ("layer", "root", "leftover", "failed")
) -> tuple[StoreEntry, ...]:
    """Layers, named roots, roots of failed builds and leftovers. The size of a named root is not known; see
    measure_roots."""
    found: list[tuple[Path, str]] = []
    for kind, name in (("layer", "layers"), ("root", "roots"), ("leftover", None), ("failed", "failed")):
        if kind in only:
            with suppress(FileNotFoundError):
                places = list_workplaces(store) if name is None else (store.path / name).iterdir()
                found += [(path, kind) for path in sorted(places)]
    return tuple(describe(path, kind) for path, kind in found if path.is_dir())


def describe(path: Path, kind: str) -> StoreEntry:
    meta: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        meta = dict(json.loads((path / "meta.json").read_text()))
    used_at = 0.0
    with suppress(OSError):
        used_at = (path / ("meta.json" if meta else "lock")).stat().st_mtime
    return StoreEntry(
        kind, path.name, meta.get("suite", ""), meta.get("arch", ""), meta.get("size", 0), used_at, is_used(path),
        len(meta.get("packages", ())), tuple(meta.get("parents", ())),
    )  # fmt: skip


def is_used(path: Path) -> bool:
    """Whether a process holds the lock of *path*, or there is none to hold."""
    fd = take_free(path)
    if fd is None:
        return True
    os.close(fd)
    return False


def collect(
    store: Store,
    *,
    max_size: int | None = None,
    max_age: float | None = None,
    roots: bool = False,
    dry_run: bool = False,
) -> tuple[Removal, ...]:
    """Remove leftovers, then what was not used for *max_age* seconds, then the least recently used until the store
    is below *max_size* bytes. Returns what went; with *dry_run* what would go.

    Named roots stay, unless with *roots* they were not used for *max_age*."""
    store.release()
    leftovers = [e for e in list_store(store) if e.kind == "leftover" and not e.in_use]
    gone = [Removal("leftover", entry.id, entry.size, "left by a killed process") for entry in leftovers]
    if not dry_run:
        gone = [Removal("leftover", name, 0, "left by a killed process") for name in reclaim(store)]
        sweep(store)
    if roots and max_age is not None:
        gone += collect_roots(store, max_age=max_age, dry_run=dry_run)
    still = _sum_roots(gone) if dry_run else 0
    gone += _collect_failed(store, max_size=max_size, max_age=max_age, dry_run=dry_run, still=still)
    if max_size is None and max_age is None:
        return tuple(gone)
    still = _sum_roots(gone) if dry_run else 0
    now = time.time()
    entries = [*list_store(store, only=("layer",)), *list_caches(store), *list_lists(store)]
    for entry in entries:
        if entry.kind == "layer" and entry.used_at > now and not dry_run:
            with suppress(OSError):  # the clock was wrong then: its age counts from now on
                os.utime(store.path / "layers" / entry.id / "meta.json")
    with holding_pool(store) as free:
        debs = list(list_pool(store))
        plan = plan_removals(
            entries,
            debs if free else [],
            kept=frozenset(find_kept(store)),
            fixed=measure_rest(store) - still + (0 if free else sum(size for _, size, _ in debs)),
            max_size=max_size,
            max_age=max_age,
            now=now,
        )
        return (*gone, *(removal for removal in plan if dry_run or _remove(store, removal)))


def plan_removals(
    entries: Sequence[StoreEntry],
    debs: Sequence[tuple[str, int, float]],
    *,
    kept: frozenset[str],
    max_size: int | None,
    max_age: float | None,
    now: float,
    fixed: int = 0,
) -> list[Removal]:
    """What goes, in this order. *entries*: layers, caches of plugins, package lists. *debs*: hash, bytes and time of
    use. A layer stays while it is used, *kept*, or another that stays stands on it. *fixed*: bytes of what stays in any
    case. A .deb can be fetched again, a layer takes longer: so .debs go first."""
    here = {entry.id: entry for entry in sorted(entries, key=lambda entry: entry.used_at)}
    total = fixed + sum(entry.size for entry in entries) + sum(size for _, size, _ in debs)
    plan: list[Removal] = []

    def drop(removal: Removal) -> None:
        nonlocal total
        total -= removal.size
        plan.append(removal)

    def drop_entries(condition: Callable[[StoreEntry], bool], why: str) -> None:
        found = True
        while found:
            below = {parent for entry in here.values() for parent in entry.parents} | kept
            free = (e for e in here.values() if not e.in_use and e.id not in below and condition(e))
            first = next(free, None)
            if found := first is not None:
                assert first is not None
                here.pop(first.id)
                drop(Removal(first.kind, first.id, first.size, why))

    if max_age is not None:
        why = f"not used for {describe_age(max_age)}"
        for name, size, used_at in debs:
            if now - used_at > max_age:
                drop(Removal("deb", name, size, why))
        drop_entries(lambda entry: now - entry.used_at > max_age, why)
    if max_size is not None:
        why = f"the store is larger than {max_size / 1e6:.0f} MB"
        gone = {removal.id for removal in plan}
        for name, size, _ in sorted(debs, key=lambda deb: deb[2]):
            if total > max_size and name not in gone:
                drop(Removal("deb", name, size, why))
        drop_entries(lambda _: total > max_size, why)
    return plan


def describe_age(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.0f} hours"


def _sum_roots(removals: Sequence[Removal]) -> int:
    """Bytes of named roots and of roots of failed builds."""
    return sum(removal.size for removal in removals if removal.kind in ("root", "failed"))


def _collect_failed(
    store: Store, *, max_size: int | None, max_age: float | None, dry_run: bool, still: int
) -> Iterator[Removal]:
    """Roots of failed builds: those that are too old, or all where the store is too large, before anything else.

    *still*: bytes that are there only because this is a dry run.
    """
    from debroot.kept import AGE, find_kept, remove_kept, trim_kept

    limit = AGE if max_age is None else min(max_age, AGE)
    if not dry_run:
        trim_kept(store)
    large = max_size is not None and measure_store(store) - still > max_size
    for kept in find_kept(store):
        why = "the store is too large" if large else f"older than {describe_age(limit)}"
        if (large or time.time() - kept.made_at > limit) and (dry_run or remove_kept(store, kept)):
            yield Removal("failed", kept.id, kept.size, why)


def collect_roots(store: Store, *, max_age: float, dry_run: bool) -> Iterator[Removal]:
    """Named roots that were not used for *max_age* seconds, and those whose removal was killed."""
    from debroot.named import remove_named

    for entry in list_store(store, only=("root",)):
        if not entry.in_use and time.time() - entry.used_at > max_age:
            size = measure_roots(store, entry.id)
            with suppress(Failure):  # it came into use
                if not dry_run:
                    remove_named(store, entry.id)
                yield Removal("root", entry.id, size, f"not used for {describe_age(max_age)}")


def find_kept(store: Store) -> Iterator[str]:
    """Ids of layers that named roots, their snapshots and roots of failed builds stand on."""
    for meta in (store.path / "failed").glob("*/meta.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield json.loads(meta.read_text())["layer"]
    for meta in (store.path / "roots").glob("*/meta.json"):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(meta.read_text())
            states = [content, *content["snapshots"].values()]
            yield from (state["layer"] for state in states if state["layer"] is not None)


def find_above(store: Store, layer_id: str) -> str | None:
    """What stands on the layer, for a person; None if nothing does."""
    if layer_id in find_kept(store):
        return "a named root, or that of a failed build,"
    for meta in (store.path / "layers").glob("*/meta.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if layer_id in json.loads(meta.read_text())["parents"]:
                return f"layer {meta.parent.name}"
    return None


def discard(
    store: Store, place: Path, what: str, check: Callable[[], str | None] = lambda: None, *, hint: str = ""
) -> None:
    """Remove a directory of the store: out of sight by one rename, while its lock is ours; then the slow part.

    Errors: Failure if it is in use, gone, or *check*, asked under the lock, says what stands on it.
    """
    fd = take_free(place)
    if fd is None:
        raise Failure(f"{what} is in use or gone", hint=hint or "wait for the command that uses it")
    try:
        if (above := check()) is not None:
            raise Failure(f"{above} stands on {what}", hint="remove that one first")
        owned.remove_tree(_hide(store, place), store.idmap)
    finally:
        os.close(fd)


def _hide(store: Store, place: Path) -> Path:
    """*place* under a name that nobody looks for. On a disk without room for a new name, without its description."""
    if place.parent in workplaces(store):
        return place
    doomed = store.path / "tmp" / secrets.token_hex(8)
    try:
        return place.rename(doomed)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        (place / "meta.json").unlink(missing_ok=True)
        return place


def reclaim(store: Store) -> list[str]:
    """Remove what killed processes left: their locks are free."""
    gone = []
    for place in list_workplaces(store):
        with suppress(Failure, FileNotFoundError):
            if place.name.startswith(NEW) or not (place / "lock").exists():
                if is_old(place, UNLOCKED_AGE):  # killed before it was locked, or nothing of ours
                    owned.remove_names(place.parent, [place.name], store.idmap)
                continue
            discard(store, place, place.name)
            gone.append(place.name)
    leave_memory(store)
    return gone


def _remove(store: Store, removal: Removal) -> bool:
    """False if it came into use meanwhile."""
    if removal.kind == "deb":
        store.pool_path(removal.id).unlink(missing_ok=True)
        return True
    remove: Mapping[str, Callable[[str], None]] = {
        "layer": store.remove,
        "cache": partial(remove_cache, store),
        "lists": partial(remove_lists, store),
    }
    try:
        remove[removal.kind](removal.id)
    except Failure:
        return False
    return True
