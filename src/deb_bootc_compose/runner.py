"""Tasks as processes: started, heard, stopped. A task's life is bound to ours: kill -9 of the compose ends its tasks.

A task reads WORK/tasks/NAME/input.json and leaves result.json there, last. Its standard output is a pipe of JSON lines
to us (progress, and its error, so that a full disk cannot hide it); its standard error is its log file.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from debcore.command import PIPE, Process, spawn
from debcore.errors import BuildFailed, DepsUnmet, Failure, HostFailed, LimitHit
from debcore.path import write_file

log = logging.getLogger(__name__)

GRACE = 15.0  #: seconds between SIGTERM and SIGKILL
#: How a task's failure class comes back from its exit status.
CLASSES: Mapping[int, type[Failure]] = {3: Failure, 4: BuildFailed, 5: DepsUnmet, 6: HostFailed, 7: LimitHit}

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Ended:
    """A task that has ended: `result` or `error` {message, hint, status}."""

    name: str
    result: Mapping[str, Any] | None
    error: Mapping[str, Any]
    log: Path

    @property
    def message(self) -> str:
        return str(self.error.get("message", ""))

    def failure(self, name: str) -> Failure:
        kind = CLASSES.get(int(self.error.get("status", 6)), HostFailed)
        hint = str(self.error.get("hint", "")) or f"see {self.log}"
        return kind(f"task {name}: {self.message}", hint=hint)


@dataclass
class _Child:
    name: str
    process: Process
    directory: Path
    log: Path
    ended: int  #: readable when the process has ended: pidfd_open(2)
    buffer: bytes = b""
    error: dict[str, Any] = field(default_factory=dict)


class Runner:
    """*command* gives the argv for a task's directory; *progress* is told (task, text).

    *env*: added to the environment of every task. *grace*: seconds between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        work: Path,
        logs: Path,
        *,
        command: Callable[[Path], Sequence[str | Path]],
        progress: Progress,
        env: Mapping[str, str] | None = None,
        grace: float = GRACE,
    ) -> None:
        self.work = work
        self.logs = logs
        self.command = command
        self.progress = progress
        self.env = dict(env or {})
        self.grace = grace
        self._children: dict[str, _Child] = {}
        self._selector = selectors.DefaultSelector()
        # The write end stays with us alone: when we die, however, every task reads the end of file.
        self._life_read, self._life_write = os.pipe2(os.O_CLOEXEC)

    def start(self, name: str, document: Mapping[str, Any]) -> None:
        directory = self.work / "tasks" / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "result.json").unlink(missing_ok=True)
        write_file(directory / "input.json", json.dumps(document, indent=1, sort_keys=True) + "\n")
        log_path = self.logs / f"{name}.log"
        with log_path.open("ab") as log_file:
            process = spawn(
                self.command(directory), stdout=PIPE, stderr=log_file, new_session=True,
                pass_fds=(self._life_read,), extra_env={**self.env, "DEBOOTC_LIFETIME_FD": str(self._life_read)},
            )  # fmt: skip
        child = _Child(name, process, directory, log_path, os.pidfd_open(process.pid))
        self._children[name] = child
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        self._selector.register(child.ended, selectors.EVENT_READ)

    def wait(self) -> list[Ended]:
        """Hear the tasks until at least one has ended."""
        while True:
            ended = [self._reap(child) for child in list(self._children.values()) if self._has_ended(child)]
            if ended:
                return ended
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._hear(key.data)

    def stop(self) -> None:
        """SIGTERM to every task; after the grace, SIGKILL to it and to the programs that it started.

        Returns when no task is left.
        """
        for child in self._children.values():
            os.kill(child.process.pid, signal.SIGTERM)
        end = time.monotonic() + self.grace
        for child in list(self._children.values()):
            while not self._has_ended(child) and time.monotonic() < end:
                time.sleep(0.05)
            if not self._has_ended(child):
                log.info("%s: does not end, killed", child.name)
            _end_session(child)
            self._forget(child)

    def close(self) -> None:
        self.stop()
        self._selector.close()
        os.close(self._life_read)
        os.close(self._life_write)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_ended(self, child: _Child) -> bool:
        """It stays a zombie, so that its number is that of its session."""
        return os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _hear(self, child: _Child) -> None:
        """What it said: why it failed before all else, as telling its progress may fail, on a disk that is full."""
        messages = []
        for line in self._lines(child):
            with suppress(ValueError):
                messages.append(json.loads(line))
        for message in messages:
            child.error = message.get("error") or child.error
        for message in messages:
            if "text" in message:
                self.progress(child.name, str(message["text"]))

    def _lines(self, child: _Child) -> Iterator[bytes]:
        assert child.process.stdout is not None
        while True:
            try:
                piece = os.read(child.process.stdout.fileno(), 65536)
            except BlockingIOError:
                break
            if not piece:
                self._unregister(child)
                break
            child.buffer += piece
        *lines, child.buffer = child.buffer.split(b"\n")
        yield from lines

    def _reap(self, child: _Child) -> Ended:
        self._hear(child)
        status = _end_session(child)
        self._forget(child)
        try:
            result = json.loads((child.directory / "result.json").read_bytes()) if status == 0 else None
        except (OSError, ValueError):
            result = None
        error = child.error
        if result is None and not error:
            error = {"message": _last_words(child.log, status), "hint": f"see {child.log}", "status": 6}
        return Ended(child.name, result, error, child.log)

    def _forget(self, child: _Child) -> None:
        self._unregister(child)
        self._selector.unregister(child.ended)
        os.close(child.ended)
        assert child.process.stdout is not None
        child.process.stdout.close()
        del self._children[child.name]

    def _unregister(self, child: _Child) -> None:
        assert child.process.stdout is not None
        if child.process.stdout in self._selector.get_map():
            self._selector.unregister(child.process.stdout)


def _end_session(child: _Child) -> int:
    """SIGKILL to the task, if it is there, and to what it started; the task's exit status.

    Sandboxes are in sessions of their own: the kernel ends them with their task.
    """
    os.killpg(child.process.pid, signal.SIGKILL)
    return child.process.wait()


def _last_words(log_path: Path, status: int) -> str:
    how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status} and no result"
    try:
        lines = log_path.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{how}: {lines[-1]}" if lines else how
