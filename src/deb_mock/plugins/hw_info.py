"""Write `hw_info.log` beside the results: processors, memory, disk and kernel of the machine that built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from deb_mock import plugin


class Plugin(plugin.Plugin):
    """Has no options."""

    api: ClassVar[int] = 1

    def preinit(self, build: plugin.Build) -> None:
        build.keep("hw_info.log", "".join(f"{line}\n" for line in describe(build.directory)).encode())


def describe(directory: Path) -> Iterator[str]:
    """Source: proc_cpuinfo(5), proc_meminfo(5), uname(2)."""
    host = os.uname()
    yield f"Kernel: {host.sysname} {host.release} {host.version} ({host.machine})"
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    yield f"Processors: {os.cpu_count()}, usable {len(os.sched_getaffinity(0))}"
    yield from (f"Model: {model}" for model in dict.fromkeys(models))
    wanted = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
    yield from (" ".join(line.split()) for line in _lines("/proc/meminfo") if line.startswith(wanted))
    disk = shutil.disk_usage(directory)
    yield f"Disk of the results: {disk.total} bytes, {disk.free} free"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(errors="replace").splitlines()
