"""Where changes to a root can lie: on the store's disk, in memory, or, where overlayfs fails, in a full copy.

An overlay's upper directory cannot lie on another overlay or on NFS, and on tmpfs only from kernel 6.6 on. What works
is tried once for each store and kernel. `memory` means that changes go to tmpfs and layers are whole trees; `none`
that each root is a copy, made by reflink where the disk can.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from debcore.errors import HostFailed
from debcore.path import write_file

if TYPE_CHECKING:
    from debroot.store import Store

log = logging.getLogger(__name__)

Uppers = Literal["disk", "memory", "none"]
KINDS: tuple[Uppers, ...] = ("disk", "memory", "none")

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- a directory of our own in it, checked to be ours
MARK = Path("resolved", "uppers")


def can_use_tmpfs(release: str | None = None) -> bool:
    """Whether an upper layer may lie on tmpfs: it needs user extended attributes, which came with kernel 6.6."""
    major, _, rest = (release or os.uname().release).partition(".")
    minor = re.match(r"\d+", rest)
    return (int(major), int(minor[0]) if minor else 0) >= (6, 6)


def find_uppers(store: Store) -> Uppers:
    """What works for *store*, tried if that is not known for this kernel."""
    if (known := read_uppers(store.path)) is not None:
        return known
    found: Uppers = "none"
    if try_upper(store, store.path / "tmp"):
        found = "disk"
    elif (memory := memory_place(store)) is not None and try_upper(store, memory):
        found = "memory"
    if found != "disk":
        log.warning("Overlayfs cannot write to %s: %s", store.path, describe_uppers(found))
    with suppress(OSError):
        write_file(store.path / MARK, f"{host_of(store.path)} {found}\n")
    return found


def describe_uppers(kind: Uppers) -> str:
    return {
        "disk": "changes to a root are an overlay on the store's disk",
        "memory": "changes to a root lie in memory, and each layer is a whole copy",
        "none": "each root is a whole copy, which takes seconds and disk",
    }[kind]


def read_uppers(store: Path) -> Uppers | None:
    """What was found for the store at this path, if its kernel and file system are the same."""
    with suppress(OSError, ValueError):
        host, _, kind = (store / MARK).read_text().strip().rpartition(" ")
        if host == host_of(store):
            return next((known for known in KINDS if known == kind), None)
    return None


def host_of(store: Path) -> str:
    """What the answer depends on: the kernel and the file system."""
    return f"{os.uname().release} {store.stat().st_dev}"


def memory_place(store: Store) -> Path | None:
    """A directory of ours on tmpfs for this store's throw-away roots; None if there can be none."""
    if not can_use_tmpfs() or not is_tmpfs(SHARED_MEMORY):
        return None
    place = _place_in_memory(store)
    while True:
        try:
            place.mkdir(mode=0o711)
        except FileExistsError:
            pass
        except OSError:
            return None
        with suppress(FileNotFoundError):  # another process has just left it
            if not _is_ours(place.lstat()):
                return None
            place.chmod(0o711)  # whatever the umask was
            return place


def _place_in_memory(store: Store) -> Path:
    return SHARED_MEMORY / f"deb-mock-{os.geteuid()}-{hashlib.sha256(bytes(store.path)).hexdigest()[:12]}"


def _is_ours(status: os.stat_result) -> bool:
    """False if somebody else has put a directory or a link there."""
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def is_in_memory(path: Path) -> bool:
    """Whether *path* lies in a directory that memory_place() gave to some store."""
    return path.is_relative_to(SHARED_MEMORY)


def workplaces(store: Store) -> list[Path]:
    """The directories that hold what is being made or thrown away."""
    memory = _place_in_memory(store)
    with suppress(FileNotFoundError):
        if _is_ours(memory.lstat()):
            return [store.path / "tmp", memory]
    return [store.path / "tmp"]


def list_workplaces(store: Store) -> list[Path]:
    """What lies in them. Another process may remove the one in memory at any moment, once it is empty."""
    found: list[Path] = []
    for directory in workplaces(store):
        with suppress(FileNotFoundError):
            found += directory.iterdir()
    return found


def make_place(store: Store, new: Path) -> None:
    """An empty directory in one of them, which is made again as often as others remove it meanwhile."""
    while True:
        try:
            new.mkdir()
        except FileNotFoundError:
            if memory_place(store) != new.parent:
                raise
        else:
            return


def leave_memory(store: Store) -> None:
    """Remove the directory on tmpfs if nothing is in it."""
    with suppress(OSError):
        _place_in_memory(store).rmdir()


def free_memory() -> int:
    """Bytes that a throw-away root in memory may use: of the machine, of our control group, of the tmpfs."""
    text = Path("/proc/meminfo").read_text()
    found = [int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("MemAvailable:")]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    with suppress(OSError):
        room = os.statvfs(SHARED_MEMORY)
        found.append(room.f_bavail * room.f_frsize)
    return max(0, min(found, default=0))


def is_tmpfs(path: Path) -> bool:
    """Whether one is mounted at *path*."""
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[4] == str(path):
                return fields[fields.index("-") + 1] == "tmpfs"
    return False


def try_upper(store: Store, at: Path) -> bool:
    """Whether an overlay can be mounted whose upper directory lies below *at*, and lower ones in the store."""
    from debroot.sandbox import Sandbox, run_in

    with store.workplace("lower") as below, store.workplace("upper", "work", at=at) as place:
        box = Sandbox(lowers=(below / "lower",), upper=place / "upper")
        try:
            run_in(box, ["/none"], idmap=store.idmap, capture=True, check=False)
        except HostFailed as error:
            log.debug("no upper directory below %s: %s", at, error)
            return False
    return True
