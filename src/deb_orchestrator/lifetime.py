"""Processes that end with those who started them: a pipe's end of file, and children ended by pid."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from debcore.command import Process, spawn

log = logging.getLogger(__name__)

#: Seconds between asking a child to end and ending it.
GRACE_S = 12.0


def watch_lifetime(fd: int | None) -> threading.Event:
    """Set when the other end of *fd* is closed: whoever held it is gone. None: never."""
    ended = threading.Event()

    def wait(fd: int) -> None:
        with suppress(OSError):
            while os.read(fd, 4096):
                pass
        ended.set()

    if fd is not None:
        threading.Thread(target=wait, args=(fd,), name="lifetime", daemon=True).start()
    return ended


def follow_lifetime(fd: int) -> None:
    """End this process, as by SIGTERM, when the other end of *fd* is closed."""
    ended = watch_lifetime(fd)

    def end() -> None:
        ended.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, name="follow", daemon=True).start()


def tell_ready(fd: int | None, document: Mapping[str, str]) -> None:
    """One line of JSON on *fd*, which is then closed."""
    if fd is None:
        return
    with suppress(BrokenPipeError), os.fdopen(fd, "w") as pipe:
        pipe.write(json.dumps(dict(document)) + "\n")


class Child:
    """A process of ours, started again if it ends by itself, ended by pid. It lives no longer than we do."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, output: Path) -> None:
        self.name = name
        self._argv = argv
        self._output = output
        self._process: Process | None = None
        self._life: int | None = None
        self._started_at = 0.0

    def start(self) -> None:
        """*argv* gets `--lifetime-fd N`: when we are gone, however, the child reads end of file and stops."""
        reader, self._life = os.pipe2(os.O_CLOEXEC)
        try:
            with self._open() as output:
                self._process = spawn(
                    [*self._argv, "--lifetime-fd", str(reader)], stdout=output, stderr=output, pass_fds=(reader,),
                    new_session=True,  # a terminal's Ctrl-C comes to us, and we end our children in order
                )  # fmt: skip
        finally:
            os.close(reader)
        self._started_at = time.monotonic()

    def watch(self) -> None:
        """Start it again if it has ended; not more than once in 2 s."""
        if self._process is None or self._process.poll() is None or time.monotonic() - self._started_at < 2:
            return
        status = self._process.poll()
        log.warning("the %s ended with status %s (see %s): starting it again", self.name, status, self._output)
        self._close()
        self.start()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after GRACE_S."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        end = time.monotonic() + GRACE_S
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if self._process.poll() is None:
            log.warning("the %s does not end: killing it", self.name)
            self._process.kill()
        self._process.wait()
        self._close()  # not before: the end of file would be a second signal in the midst of its cleaning up
        self._process = None

    def _close(self) -> None:
        if self._life is not None:
            os.close(self._life)
            self._life = None

    def _open(self) -> IO[bytes]:
        return self._output.open("ab")
