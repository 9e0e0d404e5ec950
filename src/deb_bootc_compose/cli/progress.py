"""What a compose says while it runs: a line for each event, on a terminal a last line that says what runs now.

With --json each event is one JSON object a line, on standard error; standard output is the result's.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click

from deb_bootc_compose.estimate import time_left
from deb_bootc_compose.graph import Node
from deb_bootc_compose.journal import Entry
from debcore.cli import printable

CLEAR = "\r\x1b[K"
TICK = 1.0  #: seconds between two drawings of the last line


@dataclass
class State:
    """What is known of a running compose. `now` is monotonic seconds."""

    nodes: Sequence[Node] = ()
    past: Mapping[str, float] = field(default_factory=dict)
    jobs: int = 1
    done: set[str] = field(default_factory=set)
    running: dict[str, float] = field(default_factory=dict)  #: task → when it started
    said: dict[str, str] = field(default_factory=dict)  #: task → its last words

    def hear(self, entry: Entry, now: float) -> None:
        """A task that starts has all that it needs, whether it was done now or before."""
        if entry.type == "compose.resumed":
            self.running.clear()  # they ended with the process before
        task = str(entry.data.get("task", ""))
        if entry.type == "task.started":
            self.running[task] = now
            self.done |= self._below(task)
        elif entry.type in ("task.finished", "task.failed"):
            self.running.pop(task, None)
            self.said.pop(task, None)
            self.done.add(task)

    def _below(self, task: str) -> set[str]:
        by_id = {node.id: node for node in self.nodes}
        found: set[str] = set()
        queue = [task]
        while queue:
            node = by_id.get(queue.pop())
            new = {*node.needs, *node.after} - found if node else set()
            found |= new
            queue += new
        return found

    def left(self, now: float) -> float | None:
        """Seconds, as in `time_left`."""
        running = {task: now - since for task, since in self.running.items()}
        return time_left(self.nodes, done=self.done, running=running, past=self.past, jobs=self.jobs)

    def line(self, now: float) -> str:
        """For a terminal: how far, how long still, what runs."""
        left = self.left(now)
        parts = [f"{len(self.done)} of {len(self.nodes)} tasks"]
        if left is not None:
            parts.append("about to end" if left < 5 else f"about {words(left)} left")
        for task, since in self.running.items():
            said = f", {self.said[task]}" if task in self.said else ""
            parts.append(f"{task} ({words(now - since)}{said})")
        return " · ".join(parts)


def words(seconds: float) -> str:
    """Coarse: an estimate is no promise."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


class Progress:
    """Lines `MM:SS task: text` for a person; the time is since the start."""

    def __init__(self) -> None:
        self.state = State()
        self._start = time.monotonic()

    def begin(self, nodes: Sequence[Node], *, past: Mapping[str, float], jobs: int) -> None:
        self.state = State(nodes, past, jobs)

    def hear(self, entry: Entry) -> None:
        self.state.hear(entry, time.monotonic())

    def __call__(self, task: str, text: str) -> None:
        self.state.said[task] = text
        self.line(f"{task}: {text}")

    def log(self, record: logging.LogRecord) -> None:
        self.line(record.getMessage())

    def line(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        click.echo(f"{minutes:02d}:{seconds:02d} {printable(text)}", err=True)

    def close(self) -> None:
        """Nothing is said after this."""


class TerminalProgress(Progress):
    """With a last line that is drawn again and again."""

    def __init__(self, *, write: Callable[[str], object] | None = None, width: Callable[[], int] | None = None) -> None:
        super().__init__()
        self._write = write or _write_terminal
        self._width = width or (lambda: shutil.get_terminal_size().columns)
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._thread.start()

    def hear(self, entry: Entry) -> None:
        with self._lock:
            super().hear(entry)

    def __call__(self, task: str, text: str) -> None:
        with self._lock:
            super().__call__(task, text)

    def line(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        with self._lock:
            self._write(f"{CLEAR}{minutes:02d}:{seconds:02d} {printable(text)}\n{self._last()}")

    def _last(self) -> str:
        if not self.state.running or self._ended.is_set():
            return ""
        return printable(self.state.line(time.monotonic())).replace("\n", " ")[: max(self._width() - 1, 1)]

    def _tick(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                self._write(f"{CLEAR}{self._last()}")

    def close(self) -> None:
        with self._lock:
            self._ended.set()
            self._write(CLEAR)
        self._thread.join()


def _write_terminal(text: str) -> None:
    with suppress(OSError):  # the terminal has gone; the compose has not
        sys.stderr.write(text)
        sys.stderr.flush()


class JsonProgress(Progress):
    """One JSON object a line: `at`, `event`, what the event says, and `running`, `done`, `total`, `left` (seconds)."""

    def hear(self, entry: Entry) -> None:
        super().hear(entry)
        if entry.type.startswith("task."):
            told = {"task": entry.data["task"], "seconds": entry.data.get("seconds")}
            error = entry.data.get("error", {}).get("message")
            self._emit(entry.type, **told, **({"error": error} if error else {}))
        else:
            self._emit(entry.type, **{key: value for key, value in entry.data.items() if key in ("id", "status")})

    def __call__(self, task: str, text: str) -> None:
        self._emit("task.progress", task=task, text=text)

    def log(self, record: logging.LogRecord) -> None:
        if record.name != "deb_bootc_compose.graph":  # its events are told already
            self._emit("log", level=record.levelname.lower(), text=record.getMessage())

    def line(self, text: str) -> None:
        self._emit("log", level="info", text=text)

    def _emit(self, event: str, **data: Any) -> None:
        state, at = self.state, datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        left = state.left(time.monotonic())
        known = {"running": sorted(state.running), "done": len(state.done), "total": len(state.nodes)}
        line = {"at": at, "event": event, **data, **known, "left": None if left is None else round(left, 1)}
        click.echo(json.dumps(line), err=True)


def make_progress(*, as_json: bool) -> Progress:
    if as_json:
        return JsonProgress()
    return TerminalProgress() if sys.stderr.isatty() else Progress()
