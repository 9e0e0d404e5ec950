"""Notification scripts, called in Pungi's protocol: the event as the one argument, a JSON object on standard input.

A script runs beside the compose and can neither stop nor fail it: it has a time limit, its output is cut and goes to
logs/notifications.log. One that was too slow once is told of changes of status only.

Source: Pungi's documentation, Progress notification; the keys are those of its notifier.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import selectors
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import COMPOSE_ID, ComposeDirectory, Status
from deb_bootc_compose.journal import Entry
from deb_bootc_compose.manifest.model import Compose
from debcore.cli import printable
from debcore.command import PIPE, STDOUT, Process, spawn
from debcore.errors import Failure

log = logging.getLogger(__name__)

MAX_OUTPUT = 16 * 1024  #: bytes of one call that are kept
MAX_LOG = 4 * 1024 * 1024  #: bytes of notifications.log, after which output is no longer kept
STATUS_CHANGE = "status-change"
NAME = "notifications.log"


@dataclass(frozen=True)
class Script:
    path: str
    timeout: float  #: seconds of one call


@dataclass(frozen=True)
class Called:
    """How one call ended. `status` is None if it was stopped for its time."""

    status: int | None
    output: bytes
    seconds: float


def check_script(path: Path, *, where: str) -> None:
    """Errors: Failure if it cannot be started: better said before the compose than in each of its warnings."""
    if not path.is_file() or not os.access(path, os.X_OK):
        raise Failure(f"{where}: the notification script {path} is no program", hint=f"chmod +x {path}")


def about(directory: ComposeDirectory, compose: Compose) -> dict[str, Any]:
    """What every call is told, in Pungi's words."""
    match = COMPOSE_ID.fullmatch(directory.id)
    assert match is not None
    release = compose.release
    return {
        "compose_id": directory.id, "compose_date": match["date"], "compose_type": compose.compose.type,
        "compose_respin": int(match["respin"]), "compose_label": compose.compose.label,
        "compose_path": str(directory.path), "location": str(directory.output), "release_short": release.short,
        "release_name": release.name, "release_version": release.version, "release_type": release.type,
        "release_is_layered": False,
    }  # fmt: skip


def phase_event(entry: Entry) -> tuple[str, dict[str, Any]] | None:
    """The event that a line of the journal is, if any. A task is a phase; those that were done before have none."""
    data = entry.data
    if not entry.type.startswith("task."):
        return None
    kind, _, variant = data["task"].partition(".")
    told = {"phase_name": data["task"], "kind": kind, "variant": variant or None}
    if entry.type == "task.started":
        return "phase-start", told
    error = data.get("error", {}).get("message") if entry.type == "task.failed" else None
    ok = entry.type == "task.finished"
    return "phase-stop", told | {"result": "done" if ok else "failed", "seconds": data["seconds"], "error": error}


def tell_failed_start(scripts: Sequence[Script], failure: Failure, *, config: Path, target: Path) -> None:
    """A compose that could not begin, such as for an error in its manifest: there is no compose to tell of yet."""
    told = {"command": sys.argv, "cwd": str(Path.cwd()), "target_dir": str(target), "config": str(config)}
    with Notifier(scripts, told=told, log_path=None) as notifier:
        notifier.send("fail-to-start", {"detail": f"{failure}" + (f" [{failure.hint}]" if failure.hint else "")})


class Notifier:
    """Calls *scripts* one after the other, in a thread of its own. Without scripts it does nothing."""

    def __init__(self, scripts: Sequence[Script], *, told: Mapping[str, Any], log_path: Path | None) -> None:
        self._scripts = tuple(scripts)
        self._told = told
        self._log_path = log_path
        self._slow: set[Script] = set()
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        if self._scripts:
            self._thread.start()

    def hear(self, entry: Entry) -> None:
        """A line of the journal that is on disk."""
        if event := phase_event(entry):
            self.send(*event)

    def tell_status(self, status: Status) -> None:
        self.send(STATUS_CHANGE, {"status": status.value})

    def send(self, event: str, data: Mapping[str, Any]) -> None:
        """Returns at once."""
        if self._scripts:
            self._queue.put((event, {**self._told, **data}))

    def close(self) -> None:
        """Wait for the calls that are due. Each ends by its limit, and a slow script is called no more for phases."""
        if self._scripts:
            self._queue.put(None)
            self._thread.join()

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        while (due := self._queue.get()) is not None:
            event, data = due
            for script in self._scripts:
                if script not in self._slow or event == STATUS_CHANGE:
                    self._call(script, event, json.dumps(data).encode())

    def _call(self, script: Script, event: str, data: bytes) -> None:
        try:
            called = call(script, event, data)
        except (Failure, OSError) as error:
            log.warning("the notification script %s cannot be run for %s: %s", script.path, event, error)
            return
        self._keep(script, event, called)
        if called.status is None:
            self._slow.add(script)
            log.warning(
                "the notification script %s was stopped after %g s (%s): from now on it hears of status only",
                script.path, script.timeout, event,
            )  # fmt: skip
        elif called.status != 0:
            last = called.output.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            said = f": {printable(last)}" if last else ""
            log.warning(
                "the notification script %s failed for %s, status %d%s", script.path, event, called.status, said
            )

    def _keep(self, script: Script, event: str, called: Called) -> None:
        """A full disk must not make a warning of each event."""
        if self._log_path is None:
            return
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        status = "stopped" if called.status is None else f"status {called.status}"
        head = f"{at} {event} {printable(script.path)}: {status}, {called.seconds:.1f} s"
        lines = [head, *(f"  {printable(line)}" for line in called.output.decode("utf-8", "replace").splitlines())]
        with suppress(OSError), self._log_path.open("a") as file:
            room = file.tell() < MAX_LOG
            file.write("\n".join(lines if room else lines[:1]) + "\n")


def call(script: Script, event: str, data: bytes) -> Called:
    """Run it once. Output beyond MAX_OUTPUT is thrown away; at its time limit it ends, with all its children.

    Errors: Failure or OSError if it cannot be started.
    """
    since = time.monotonic()
    with tempfile.TemporaryFile() as source:
        source.write(data)
        source.seek(0)
        process = spawn([script.path, event], stdin=source, stdout=PIPE, stderr=STDOUT, new_session=True)
    try:
        output, ended = _read(process, since + script.timeout)
    finally:
        with suppress(ProcessLookupError, PermissionError):  # what it left running in the background ends with it
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        assert process.stdout is not None
        process.stdout.close()
    return Called(status if ended else None, output, time.monotonic() - since)


def _read(process: Process, end: float) -> tuple[bytes, bool]:
    """(what it printed, whether it ended by itself before *end*)."""
    assert process.stdout is not None
    kept = bytearray()
    fd = process.stdout.fileno()
    os.set_blocking(fd, False)
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            left = end - time.monotonic()
            selector.select(timeout=0 if ended else max(0.0, min(left, 0.1)))
            with suppress(BlockingIOError):
                piece = os.read(fd, 65536)
                kept += piece[: MAX_OUTPUT - len(kept)]
                if piece and not ended and left > 0:
                    continue
            if ended:
                return bytes(kept), True
            if left <= 0:
                return bytes(kept), False
            if not selector.get_map():
                time.sleep(0.02)
