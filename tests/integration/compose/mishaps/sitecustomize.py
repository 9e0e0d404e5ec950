"""On a PYTHONPATH: one mishap, MISHAP=HOW:TASK, at an exact place of a compose.

before, after: kill -9 of the compose before its journal says that TASK begins, or has ended. begun, ended: once it
says so. within: by TASK, as it first says what it does, or has done. stopped: SIGTERM then; deaf: which TASK does not
hear. itself: kill -9 of TASK then. inside, bereft: kill -9 of the compose, of TASK, while the first program in a
sandbox of TASK runs; of one that has none, as within. torn: of TASK, with the first file that it writes still
under the name that it is written by. full: the disk fills up as it begins. filled: as it first says what it does.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from deb_bootc_compose import worker
from deb_bootc_compose.journal import Entry, Journal
from deb_bootc_compose.worker import Task
from debroot import sandbox

HOW, _, VICTIM = os.environ.get("MISHAP", "").partition(":")
FILLER = "filler"
STRUCK: list[str] = []
COMPOSE = os.getppid()  #: where this is a task
SAID, STARTED = ("within", "itself", "filled", "stopped", "deaf"), ("inside", "bereft")

_append, _say, _run_task, _replace = Journal.append, Task.say, worker.run_task, Path.replace
_write_file: Any = vars(worker)["write_file"]
_spawn: Any = vars(sandbox)["spawn"]


def append(self: Journal, type_: str, **data: Any) -> Entry:
    hit = data.get("task") == VICTIM
    if hit and (type_, HOW) in (("task.started", "before"), ("task.finished", "after")):
        die()
    entry = _append(self, type_, **data)
    if hit and (type_, HOW) in (("task.started", "begun"), ("task.finished", "ended")):
        die()
    if hit and (type_, HOW) == ("task.started", "full"):
        fill()
    return entry


def strike(task: str, *hows: str) -> None:
    """From within *task*, once."""
    if task != VICTIM or HOW not in hows or STRUCK:
        return
    STRUCK.append(task)
    if HOW in ("within", "inside"):
        os.kill(COMPOSE, signal.SIGKILL)
    elif HOW in ("itself", "bereft"):
        die()
    elif HOW == "filled":
        fill()
    else:
        if HOW == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(COMPOSE, signal.SIGTERM)


def say(self: Task, text: str) -> None:
    strike(self.name, *SAID)
    _say(self, text)


def write_file(path: Path, content: str) -> None:
    """Its result, for tasks that say nothing and start nothing."""
    strike(path.parent.name, *SAID, *STARTED)
    if path.parent.name == VICTIM and HOW in ("full", "filled"):
        fill()  # what it wrote anew had made room
    _write_file(path, content)


def spawn(*args: Any, **kwargs: Any) -> Any:
    made = _spawn(*args, **kwargs)
    strike(VICTIM, *STARTED)
    return made


def run_task(directory: Path) -> None:
    if HOW == "torn" and directory.name == VICTIM:
        Path.replace = torn  # type: ignore[method-assign, assignment]
    if HOW in STARTED and directory.name == VICTIM:
        vars(sandbox)["spawn"] = spawn
    _run_task(directory)


def torn(self: Path, target: str | Path) -> Path:
    if self.name.startswith(f".{Path(target).name}."):
        die()
    return _replace(self, target)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill() -> None:
    """Until not one byte is left."""
    with Path(os.environ["MISHAP_DISK"], FILLER).open("ab", buffering=0) as file:
        for size in (1 << 20, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


if HOW:
    Journal.append = append  # type: ignore[method-assign]
    Task.say = say  # type: ignore[method-assign]
    vars(worker)["write_file"] = write_file
    worker.run_task = run_task
