"""Running programs: the only module that imports subprocess.

A command line is a value (a list of strings). Every command is logged at DEBUG as a line one can paste.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from debcore import cancel
from debcore.errors import CommandFailed, HostFailed

log = logging.getLogger(__name__)

Process = subprocess.Popen[bytes]
PIPE = subprocess.PIPE
DEVNULL = subprocess.DEVNULL
STDOUT = subprocess.STDOUT


@dataclass(frozen=True)
class Completed:
    """A program that has ended. `status` is negative if a signal ended it (as in subprocess)."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as UTF-8; undecodable bytes are replaced."""
        return self.stdout.decode("utf-8", "replace")


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    extra_env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run to the end and return what it printed. *timeout* in seconds.

    Errors: CommandFailed on a status other than 0 (if *check*) and on timeout; HostFailed if the program is missing;
    Cancelled.
    """
    line = [os.fspath(word) for word in argv]
    log.debug("run: %s", shlex.join(line))
    environment = {**(os.environ if env is None else env), **(extra_env or {})}
    try:
        with (
            _as_file(stdin) as source,
            subprocess.Popen(
                line, stdin=source, stdout=PIPE, stderr=PIPE, env=environment, cwd=cwd, pass_fds=tuple(pass_fds)
            ) as process,
        ):
            try:
                stdout, stderr = _communicate(process, timeout)
            except BaseException:
                process.kill()
                raise
    except FileNotFoundError as error:
        raise _missing(line[0]) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(line, -9, f"no end after {timeout:g} s") from error
    result = Completed(tuple(line), process.returncode, stdout, stderr)
    if check and process.returncode != 0:
        raise CommandFailed(line, process.returncode, (stderr or stdout).decode("utf-8", "replace"))
    return result


@contextmanager
def _as_file(content: bytes | None) -> Iterator[int | IO[bytes]]:
    """Standard input with *content*. No pipe: Popen forgets what it has not sent when a wait is repeated."""
    if not content:
        yield DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _communicate(process: Process, timeout: float | None) -> tuple[bytes, bytes]:
    """As Popen.communicate, but Cancelled ends it within a moment."""
    if cancel.current() is None:
        return process.communicate(timeout=timeout)
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return process.communicate(timeout=cancel.TICK)
        except subprocess.TimeoutExpired:
            cancel.check()
            if end is not None and time.monotonic() > end:
                raise


def spawn(
    argv: Sequence[str | Path],
    *,
    stdin: int | IO[bytes] | None = DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    extra_env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = False,
) -> Process:
    """Start a program and return at once; the caller waits for it and ends it."""
    line = [os.fspath(word) for word in argv]
    log.debug("spawn: %s", shlex.join(line))
    environment = {**(os.environ if env is None else env), **(extra_env or {})}
    try:
        return subprocess.Popen(
            line, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, cwd=cwd,
            pass_fds=tuple(pass_fds), start_new_session=new_session,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise _missing(line[0]) from error


def find_program(name: str) -> Path | None:
    """Where *name* is on PATH (with the sbin directories added, which users' PATH lacks on Debian)."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return Path(found) if found else None


def _missing(program: str) -> HostFailed:
    return HostFailed(f"{program} is not installed", hint=f"find its package with: apt-file search -x '/{program}$'")
