"""What this host has, as the hub asks for it: memory and free disk in MB (2**20 bytes)."""

from __future__ import annotations

import os
from pathlib import Path

MB = 2**20


def find_memory_mb() -> int:
    """Physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB


def find_free_mb(place: Path) -> int:
    """Free for us on the file system of *place*."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize // MB
