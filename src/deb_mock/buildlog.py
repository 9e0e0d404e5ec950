"""build.log in sbuild's layout, so that the programs that read sbuild's logs read ours.

Source: sbuild 0.89 lib/Sbuild/Base.pm and Build.pm (sections, keys of the preamble and the summary).
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from debcore.errors import HostFailed

WIDTH = 78


class BuildLog:
    """An append-only log file; `size` is the offset of the next byte. Safe to write from two threads.

    Errors: HostFailed where the log's file system is full.
    """

    def __init__(self, path: Path, *, echo: Callable[[bytes], None] | None = None) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._echo = echo
        self.path = path
        self.size = 0

    def write(self, data: bytes) -> None:
        with self._lock:
            view = memoryview(data)
            while view:
                try:
                    done = os.write(self._fd, view)
                except OSError as error:
                    raise _full(self.path, error) from error
                self.size += done
                view = view[done:]
        if self._echo:
            self._echo(data)

    def line(self, text: str = "") -> None:
        self.write(text.encode() + b"\n")

    def section(self, title: str) -> None:
        self.write(_box(title, "="))

    def subsection(self, title: str) -> None:
        self.write(_box(title, "-"))

    def subsubsection(self, title: str) -> None:
        self.write(f"\n{title}\n{'-' * len(title)}\n\n".encode())

    def fields(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            self.line(f"{key}: {value}")

    def close(self) -> None:
        os.close(self._fd)


def first_line(version: str, host: str) -> str:
    """Log readers take the program and its version from this line."""
    date = datetime.now(UTC).strftime("%d %B %Y")
    return f"sbuild (deb-mock) {version} ({date}) on {host}"


def summary(values: Mapping[str, str]) -> Mapping[str, str]:
    """The summary's keys in sbuild's order: sorted."""
    return dict(sorted(values.items()))


def duration(seconds: float) -> str:
    """HH:MM:SS."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _box(title: str, rule: str) -> bytes:
    ruler = "+" + rule * WIDTH + "+"
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    room = WIDTH - 2 - len(date)
    return f"\n{ruler}\n| {title:<{room}.{room}}{date} |\n{ruler}\n\n".encode()


def _full(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"make room on the file system of {path.parent}, or choose another --resultdir"
        return HostFailed(f"{path}: no space left for the build log", hint=hint)
    return error
