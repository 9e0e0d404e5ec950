"""Running the long step of a build: its output goes to the log as it comes, and silence and time are watched."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from deb_mock.buildlog import BuildLog
from debcore import cancel
from debcore.errors import LimitHit
from debcore.job import Peaks
from debroot.idmap import IdMap
from debroot.sandbox import Running, Sandbox, start_in

#: Seconds between looks at the clock while nothing is printed.
TICK = 0.5
#: Seconds that a process which outlives the command may go on holding its output open.
LINGER = 5.0


@dataclass(frozen=True)
class Ran:
    """How a step ended: exit status, negative for a signal, and what it used at most."""

    status: int
    peaks: Peaks


def run_logged(
    sandbox: Sandbox,
    argv: Sequence[str],
    log: BuildLog,
    *,
    idmap: IdMap,
    stdin: int | None = None,
    silence: float | None = None,
    most: int | None = None,
    timeout: float | None = None,
) -> Ran:
    """Run *argv*, copy what it prints to *log*, and return how it ended. *silence* and *timeout* in seconds, *most* in
    bytes.

    Errors: LimitHit after *timeout*, after *silence* without a byte, after *most* bytes, or on a limit of the sandbox;
    Cancelled; then all is ended.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            running = start_in(sandbox, argv, idmap=idmap, stdin=stdin, stdout=writing, stderr=writing, timeout=timeout)
        finally:
            os.close(writing)
        with running:
            _pump(reading, running, log, silence, most)
            status = running.wait()
            return Ran(status, running.peaks)
    finally:
        os.close(reading)


def _pump(reading: int, running: Running, log: BuildLog, silence: float | None, most: int | None) -> None:
    last, begin = time.monotonic(), log.size
    ended: float | None = None
    while True:
        ready = cancel.select_readable([reading], TICK)
        now = time.monotonic()
        if ready:
            data = os.read(reading, 1 << 16)
            if not data:
                return
            if most is not None and log.size + len(data) - begin > most:
                running.kill()
                log.line(f"\nE: Build killed after {most} bytes of output")
                raise LimitHit(f"the build printed more than {most} bytes", hint="raise it with --set limits.log=4G")
            log.write(data)
            last = now
            continue
        if ended is None and running.poll() is not None:
            ended = now
        if ended is not None and now - ended > LINGER:
            return
        if silence is not None and now - last > silence:
            running.terminate()
            log.line(f"E: Build killed after {int(silence)} seconds of inactivity")
            hint = "raise it with --set limits.silence=5h if the package is known to be silent for long"
            raise LimitHit(f"the build printed nothing for {silence:g} s", hint=hint)
