"""Every failure a user may meet; anything else is our bug and keeps its traceback.

    Failure            3  the user can act; `hint` says how
    ├── ConfigError    3  `where` is file:key
    ├── BuildFailed    4  the package's fault: do not retry
    ├── DepsUnmet      5  retry when the archive changes
    ├── HostFailed     6  the host's fault: retry elsewhere
    │   └── CommandFailed  6  a tool we ran: argv, status, its last output; callers translate it
    └── LimitHit       7  time, memory or disk ran out

1 belongs to Python, 2 to usage errors (Click). The hub reads these numbers: never renumber.

`Interrupted` is no Failure: somebody asked us to stop.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from typing import ClassVar

#: How programs say in the C locale that a disk is full: strerror(ENOSPC), strerror(EDQUOT), and apt's own words.
DISK_FULL = ("o space left on device", "Disk quota exceeded", "have enough free space in")


def find_full(output: str) -> str | None:
    """The first line of *output* that says that a disk is full; None if none does."""
    return next((line.strip() for line in output.splitlines() if any(words in line for words in DISK_FULL)), None)


class Failure(Exception):
    """Something the user can act on. *hint* is the next step, one sentence without a full stop."""

    status: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(Failure):
    """Input that cannot be used. *where* is `file:line` or `file:key`, or "" where there is no file."""

    def __init__(self, where: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where


class BuildFailed(Failure):
    """The package failed to build: the same input fails again."""

    status = 4


class DepsUnmet(Failure):
    """Dependencies cannot be met by the archive as it is."""

    status = 5


class HostFailed(Failure):
    """This host could not do it; another, or this one later, may."""

    status = 6


class CommandFailed(HostFailed):
    """A program that we ran failed. `output` holds the end of what it printed (at most 4 KiB)."""

    def __init__(self, argv: Sequence[str], exit_status: int, output: str, *, hint: str = "") -> None:
        last = output.strip().splitlines()[-1:] or ["it printed nothing"]
        super().__init__(f"{argv[0]} failed with status {exit_status}: {last[0]}", hint=hint)
        self.argv = tuple(argv)
        self.exit_status = exit_status
        self.output = output[-4096:]

    @property
    def command(self) -> str:
        """The command as one line to paste into a shell."""
        return shlex.join(self.argv)


class LimitHit(Failure):
    """Time, memory, disk or process limit reached."""

    status = 7


class Interrupted(BaseException):
    """A signal asked us to stop. Raised so that every `with` unwinds; `signum` decides the exit status."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
