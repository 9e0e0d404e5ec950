"""Whether a throw-away root lies in memory: what was wished, what this host allows, and why not where it does not.

What lies there counts as memory: towards the limit of memory, and towards the disk limit as it would on a disk.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from debcore.path import write_file
from debroot import owned, upper

if TYPE_CHECKING:
    from debroot.idmap import IdMap
    from debroot.store import Store

log = logging.getLogger(__name__)

Wish = Literal["auto", "yes", "no"]

#: Bytes that a process may have in any case: with less it does not even start.
LEAST = 16 << 20

#: What was found for a store: kernel, store, tmpfs, and whether overlayfs can write there.
MARK = Path("resolved", "tmpfs")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is wished. `yes` takes memory where `required` is free; `auto` only where that leaves as much again."""

    wish: Wish = "no"
    required: int = 900 << 20  #: bytes that must be free
    most: int | None = None  #: bytes that one root may take


@dataclass(frozen=True)
class Decision:
    """Where it lies, and why it is not in memory although that was wished; "" if all is as wished."""

    in_memory: bool
    reason: str = ""


def choose_memory(store: Store, wished: Memory, *, limit: int | None) -> Decision:
    """What is done about *wished*. *limit*: bytes of memory that a build may use."""
    if upper.read_uppers(store.path) == "memory":  # it works nowhere else
        return Decision(True)
    if wished.wish == "no":
        return Decision(False)
    return decide(wished, free=upper.free_memory(), limit=limit, obstacle=find_obstacle(store.path) or _try(store))


@contextmanager
def open_scratch(store: Store, *, required: int) -> Iterator[Path]:
    """An empty directory owned by root inside, for many files that last a moment; gone at exit.

    In memory where that leaves as much again as *required* (bytes) free: on some disks removing a file takes
    milliseconds, and a tree has tens of thousands. Else on the store's disk.
    """
    placed = choose_memory(store, Memory(wish="auto", required=required), limit=None)
    with store.throwaway(memory=placed.in_memory) as place:
        yield place


def decide(wished: Memory, *, free: int, limit: int | None, obstacle: str | None) -> Decision:
    """*free*, *limit*: bytes. *obstacle*: why it cannot be at all, None if it can."""
    if wished.wish == "no":
        return Decision(False)
    if obstacle is not None:
        return Decision(False, obstacle)
    needed = wished.required * (2 if wished.wish == "auto" else 1)
    words = "required" if wished.wish == "yes" else "required with a reserve"
    if free < needed:
        return Decision(False, f"{_mega(free)} of memory are free, {_mega(needed)} are {words}")
    if limit is not None and limit < needed:
        return Decision(False, f"the limit of memory is {_mega(limit)}, and {_mega(needed)} are {words}")
    return Decision(True)


def subtract_held(limit: int, places: Sequence[Path], ids: IdMap) -> int:
    """What is left of *limit* (bytes of memory) beside the files that lie in *places* already."""
    return max(LEAST, limit - sum(owned.measure_tree(place, ids) for place in places))


def find_obstacle(store: Path) -> str | None:
    """What forbids it on this host for the store at this path, as far as that can be seen without trying."""
    place = upper.SHARED_MEMORY
    if not upper.can_use_tmpfs():
        return "an upper directory on tmpfs needs Linux 6.6"
    if not upper.is_tmpfs(place):
        return f"{place} is no tmpfs"
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        return f"{place} is mounted noexec"
    if upper.read_uppers(store) == "none":
        return "overlayfs does not work on this store"
    return "overlayfs cannot write there" if read_tried(store) is False else None


def read_tried(store: Path) -> bool | None:
    """Whether overlayfs can write there, as it was found for this kernel, store and tmpfs; None: not tried."""
    with suppress(OSError):
        host, _, found = (store / MARK).read_text().strip().rpartition(" ")
        if host == _host_of(store):
            return found == "yes"
    return None


def _try(store: Store) -> str | None:
    """The same, tried if that is not known."""
    if (known := read_tried(store.path)) is None:
        place = upper.memory_place(store)
        if place is None:
            return f"there can be no directory of ours in {upper.SHARED_MEMORY}"
        known = upper.try_upper(store, place)
        with suppress(OSError):
            write_file(store.path / MARK, f"{_host_of(store.path)} {'yes' if known else 'no'}\n")
    return None if known else "overlayfs cannot write there"


def _host_of(store: Path) -> str:
    return f"{upper.host_of(store)} {upper.SHARED_MEMORY.stat().st_dev}"


def _mega(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
