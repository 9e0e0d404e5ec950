"""The inside of a task's process: input.json in, progress on the pipe, result.json out."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from deb_bootc_compose.directory import ComposeDirectory, disk_full, explaining_full_disk
from debcore.errors import CommandFailed, Failure, Interrupted, LimitHit
from debcore.path import remove_torn, write_file

log = logging.getLogger(__name__)

#: How programs say that the disk is full; ostree keeps a reserve of its own.
FULL_DISK = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "min-free-space")

GRACE = 10.0  #: seconds a task has to unwind after its compose has died


@dataclass(frozen=True)
class Done:
    """What a task gives to those that need it. `files` (below the compose directory) must be there for it to hold.

    `value` is part of the identity of what follows: no times, no paths of this host.
    """

    value: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


class Task:
    """What a task's `run` is given."""

    def __init__(self, compose: ComposeDirectory, document: Mapping[str, Any], pipe: IO[bytes]) -> None:
        self.compose = compose
        self.name = str(document["task"])
        self.params: Mapping[str, Any] = document["params"]
        self.context: Mapping[str, Any] = document["context"]
        self.inputs: Mapping[str, Mapping[str, Any]] = {
            name: result.get("value", {}) for name, result in document["inputs"].items()
        }
        self._pipe = pipe

    @property
    def scratch(self) -> Path:
        """work/tasks/NAME: input.json and result.json are here; the rest is the task's own."""
        return self.compose.work / "tasks" / self.name

    def input(self, prefix: str) -> Mapping[str, Any]:
        """The value of the one need whose name is *prefix* or begins with it and a dot."""
        found = [value for name, value in self.inputs.items() if name == prefix or name.startswith(prefix + ".")]
        if len(found) != 1:
            raise KeyError(f"{self.name} has {len(found)} inputs called {prefix}")
        return found[0]

    def say(self, text: str) -> None:
        """Tell the person who waits what is happening now."""
        log.info("%s", text)
        self._send({"text": text})

    def send_error(self, failure: Failure) -> None:
        self._send({"error": {"message": str(failure), "hint": failure.hint, "status": failure.status}})

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._pipe.write(json.dumps(message).encode() + b"\n")
            self._pipe.flush()
        except BrokenPipeError:
            log.debug("nobody listens: %s", message)


def run_task(directory: Path) -> None:
    """Run the task whose input.json is in *directory*. Errors: Failure, told to the compose as well."""
    pipe = _take_stdout()
    _bind_life()
    document = json.loads((directory / "input.json").read_bytes())
    compose = ComposeDirectory(directory.parents[2])
    task = Task(compose, document, pipe)
    _log_to_stderr()
    log.info("%s: %s", task.name, document["identity"])
    try:
        with explaining_full_disk(compose.path):
            _be_alone(directory)
            for place in (directory, compose.path):  # where the lock lies, which no other task writes
                remove_torn(place)
            done = _run(document["kind"], task)
            content = json.dumps({"value": done.value, "files": list(done.files)}, sort_keys=True)
            write_file(directory / "result.json", content + "\n")
    except Interrupted:
        raise
    except Failure as failure:
        if isinstance(failure, CommandFailed):
            log.info("%s\n%s", failure.command, failure.output)
        if _is_full_disk(failure):
            full = disk_full(compose.path)
            task.send_error(full)
            raise full from failure
        task.send_error(failure)
        raise
    except Exception as error:
        _send_bug(task, error)
        raise


def _is_full_disk(failure: Failure) -> bool:
    """Whether a program of ours found the disk full: they say it in words."""
    output = failure.output if isinstance(failure, CommandFailed) else ""
    return not isinstance(failure, LimitHit) and any(word in f"{failure}\n{output}" for word in FULL_DISK)


def _run(kind: str, task: Task) -> Done:
    from deb_bootc_compose.tasks import load_task

    module = load_task(kind)
    found = task.context.get("earlier")
    if found is not None:
        try:
            done = getattr(module, "adopt", adopt)(task, found)
        except (OSError, Failure) as error:
            log.info("the result of %s cannot be taken: %s", found["path"], error)
        else:
            task.say(f"the same as in {Path(found['path']).name}")
            return done
    return module.run_task(task)


def adopt(task: Task, found: Mapping[str, Any]) -> Done:
    """Take the files of an earlier result with the same identity. A task with more to do has an `adopt` of its own."""
    from deb_bootc_compose.earlier import link_file, paths_of

    paths = paths_of(found)
    for path in paths:
        link_file(Path(found["path"], path), task.compose.path / path)
    return Done(found["result"]["value"], tuple(paths))


def _send_bug(task: Task, error: Exception) -> None:
    task.send_error(Failure(f"{type(error).__name__}: {error} (a bug of ours)", hint=f"see logs/{task.name}.log"))
    with suppress(OSError):  # the log's disk may be full
        traceback.print_exc()


def _take_stdout() -> IO[bytes]:
    """The pipe to the compose; from here on file descriptor 1, which programs inherit, is the log."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return pipe


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _bind_life() -> None:
    """End with the compose: DEBOOTC_LIFETIME_FD reads end of file when it is gone, however it went."""
    fd = os.environ.get("DEBOOTC_LIFETIME_FD")
    if fd is None:
        return
    os.set_inheritable(int(fd), False)
    os.environ.pop("DEBOOTC_LIFETIME_FD")
    threading.Thread(target=_watch, args=(int(fd),), name="lifetime", daemon=True).start()


def _be_alone(directory: Path) -> None:
    """Wait for a worker of the same task whose compose was killed and resumed at once: it ends within GRACE seconds.

    The lock is held until this process has gone, however it goes.
    """
    fd = os.open(directory / "worker", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX)


def _watch(fd: int) -> NoReturn:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)  # the runner made it the leader of a session
    raise AssertionError("not reached")
