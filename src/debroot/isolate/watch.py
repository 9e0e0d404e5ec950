"""What the sandbox uses, summed by its init: anonymous memory of all processes plus tmpfs, and blocks of its disks."""

from __future__ import annotations

import os
import stat
import time

PAGE = os.sysconf("SC_PAGE_SIZE")


def sum_memory(tmpfs: list[int]) -> int:
    """Bytes: resident anonymous pages of every process in this /proc but init, and what the tmpfs descriptors hold."""
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/statm", "rb") as file:
                _, resident, shared, *_ = file.read().split()
        except OSError:
            continue  # it has ended
        total += max(0, int(resident) - int(shared)) * PAGE
    for fd in tmpfs:
        state = os.fstatvfs(fd)
        total += (state.f_blocks - state.f_bfree) * state.f_frsize
    return total


def sum_disk(directory: int) -> int:
    """Bytes of the blocks below the directory descriptor; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    todo = [os.dup(directory)]
    while todo:
        fd = todo.pop()
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        info = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(info.st_mode):
                            todo.append(os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd))
                    except OSError:
                        continue
                    if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                        if (info.st_dev, info.st_ino) in seen:
                            continue
                        seen.add((info.st_dev, info.st_ino))
                    total += info.st_blocks * 512
        except OSError:
            continue
        finally:
            os.close(fd)
    return total


class Watch:
    """Looks once a second; a slow walk over the disk is made rarer: at most a twentieth of the time.

    *disks*: descriptor, bytes that were there at first, and whether it lies in memory and counts as such too.
    """

    def __init__(
        self, memory: int | None, disk: int | None, tmpfs: list[int], disks: list[tuple[int, int, bool]]
    ) -> None:
        self.peak_memory = 0
        self.peak_disk = 0
        self._memory, self._disk = memory, disk
        self._tmpfs, self._disks = tmpfs, disks
        self._next_memory = time.monotonic()
        self._held = 0  # bytes of the disks that lie in memory
        self._next_disk = self._next_memory + (0 if disk or any(held for _, _, held in disks) else 1)

    def look(self) -> str | None:
        """The limit that was hit: `memory`, `disk` or None."""
        now = time.monotonic()
        if now >= self._next_disk:
            self.look_at_disk()
            self._next_disk = time.monotonic() + max(1.0, 20 * (time.monotonic() - now))
            if self._disk is not None and self.peak_disk > self._disk:
                return "disk"
        if now >= self._next_memory:
            self._next_memory = now + 1
            self.peak_memory = max(self.peak_memory, sum_memory(self._tmpfs) + self._held)
            if self._memory is not None and self.peak_memory > self._memory:
                return "memory"
        return None

    def look_at_disk(self) -> None:
        sizes = [(max(0, sum_disk(fd) - first), held) for fd, first, held in self._disks]
        self._held = sum(size for size, held in sizes if held)
        self.peak_disk = max(self.peak_disk, sum(size for size, _ in sizes))
