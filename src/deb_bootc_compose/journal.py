"""The journal of a compose: what was started, what was done and with which result. Append-only, each line fsynced."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import disk_full
from debcore.errors import Failure
from debcore.path import sync_directory


@dataclass(frozen=True)
class Entry:
    """One line. `type`: compose.started, compose.resumed, compose.ended, task.started, task.finished, task.failed."""

    n: int
    at: str  #: RFC 3339, UTC
    type: str
    data: dict[str, Any]


#: What the entries of a task have, beside times. Another version may add to it.
NEEDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "task.started": {"task": str, "identity": str},
    "task.finished": {"task": str, "identity": str, "seconds": (int, float), "result": dict, "files": list},
    "task.failed": {"task": str, "identity": str, "seconds": (int, float), "error": dict},
}


class JournalDamaged(Failure):
    """A line in the middle of a journal cannot be what was written: nothing after it can be believed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="nothing more is known of this compose: make a new one, then remove it")


class Journal:
    """Opened by the one process that holds the compose's lock. *hear*: told of each line once it is on disk."""

    def __init__(self, path: Path, *, hear: Sequence[Callable[[Entry], None]] = ()) -> None:
        self._hear = tuple(hear)
        self._path = path
        fresh = not path.exists()
        self.entries = list(read_journal(path))
        _cut_torn_line(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if fresh:
            sync_directory(path.parent)

    def append(self, type_: str, **data: Any) -> Entry:
        """On disk when this returns. Errors: Failure (LimitHit if the disk is full); the line is then left out."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = Entry(len(self.entries) + 1, at, type_, data)
        line = json.dumps({"n": entry.n, "at": at, "type": type_, **data}, sort_keys=True).encode() + b"\n"
        before = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, line) != len(line):  # no room for the rest
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, before)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self._path.parent.parent, str(self._path)) from error
            raise Failure(f"the journal cannot be written: {error}", hint=f"look at {self._path}") from error
        self.entries.append(entry)
        for hear in self._hear:
            hear(entry)
        return entry

    def find_finished(self, task: str, identity: str) -> Entry | None:
        """The last time that *task* finished with these inputs."""
        for entry in reversed(self.entries):
            if entry.type == "task.finished" and entry.data["task"] == task:
                return entry if entry.data["identity"] == identity else None
        return None

    def close(self) -> None:
        os.close(self._fd)


def read_journal(path: Path) -> Iterator[Entry]:
    """A torn last line is passed over: the process died while writing it. Errors: JournalDamaged on any other."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for expected, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            entry = _parse_line(line)
            if entry is None:
                raise JournalDamaged(f"{path}: line {expected} is damaged")
            if entry.n != expected:
                raise JournalDamaged(f"{path}: entry {entry.n} where {expected} was due")
            yield entry


def _parse_line(line: bytes) -> Entry | None:
    """None if a field that readers rely on is not there."""
    try:
        data = json.loads(line)
        entry = Entry(data.pop("n"), data.pop("at"), data.pop("type"), data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    needs = NEEDS.get(entry.type, {}) if isinstance(entry.type, str) else None
    if needs is None or not all(isinstance(data.get(name), kind) for name, kind in needs.items()):
        return None
    return None if "result" in needs and not isinstance(data["result"].get("value"), dict) else entry


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The value of each task, as it last finished. Errors: JournalDamaged."""
    return {
        entry.data["task"]: entry.data["result"]["value"]
        for entry in read_journal(path)
        if entry.type == "task.finished"
    }


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        if end != len(content):
            file.truncate(end)
            os.fsync(file.fileno())
