"""What a build tells while it runs: events for programs, sentences for people, and the time each stage took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from deb_mock.config import Choice
from deb_mock.order import Identity
from debcore import cancel
from debcore.job import Event, EventLog, JobDirectory, Lock, Result, Stage
from debcore.path import write_file

log = logging.getLogger(__name__)

LOCK_FILE = "lock.json"


class Ordered(Protocol):
    """A build or a check: whose it is, and for what."""

    @property
    def identity(self) -> Identity: ...

    @property
    def choice(self) -> Choice: ...


class Recorder:
    """Writes events.jsonl and the lock of one build. `stage` is the stage that runs, or ran last.

    *listen* gets each event when it is in the file. Each stage begins with a look at the caller's wish to cancel.
    """

    def __init__(
        self, order: Ordered, directory: JobDirectory, *, listen: Callable[[Event], None] | None = None
    ) -> None:
        who = order.identity
        self._events = EventLog(
            directory.events_path,
            job=who.job,
            attempt=who.attempt,
            request=who.request,
            build=who.build,
            arch=order.choice.arch,
        )
        self._listen = listen
        self._directory = directory
        self.stage = "start"
        self.stages: list[Stage] = []
        self.lock_sha256: str | None = None
        self.installed: int | None = None

    @contextmanager
    def running(self, name: str, sentence: str = "") -> Iterator[None]:
        """The stage *name*; *sentence* tells a person what is happening."""
        cancel.check()
        self.stage = name
        if sentence:
            log.info("%s", sentence)
        self._emit("stage.started", stage=name)
        begin, ok = time.monotonic(), False
        try:
            yield
            ok = True
        finally:
            seconds = round(time.monotonic() - begin, 3)
            self.stages.append(Stage(name=name, seconds=seconds, ok=ok))
            self._emit("stage.ended", stage=name, ok=ok, seconds=seconds)

    def progress(self, text: str, **data: Any) -> None:
        log.info("%s", text)
        self._emit("progress", stage=self.stage, text=text, **data)

    def environment_ready(self, lock: Lock, *, installed: int) -> None:
        """The root stands: its lock is on disk before the event says so. *installed*: packages installed just now."""
        content = lock.encode()
        write_file(self._directory.path / LOCK_FILE, content)
        self.lock_sha256, self.installed = lock.sha256, installed
        self._emit(
            "environment.ready",
            lock=LOCK_FILE,
            lock_sha256=lock.sha256,
            packages=len(lock.packages),
            installed=installed,
        )

    def build_complete(self, result: Result) -> None:
        outputs = [output.model_dump(mode="json") for output in result.outputs]
        logs = [output.path for output in result.outputs if output.kind == "log"]
        self._emit("build.complete", status=result.status.value, outputs=outputs, logs=logs)

    def close(self) -> None:
        """May be called twice."""
        self._events.close()

    def _emit(self, type_: str, **data: Any) -> None:
        event = self._events.emit(type_, **data)
        if self._listen:
            self._listen(event)
