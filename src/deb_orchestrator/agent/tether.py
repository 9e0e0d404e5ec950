"""`python -m deb_orchestrator.agent.tether PARENT ARGV…`: become ARGV, and be killed when PARENT ends.

PR_SET_PDEATHSIG survives execve(2) of ordinary programs, and deb-mock ties its sandbox to its own life: so kill -9 of
an agent leaves no build behind. Standard library only, for it runs before each build.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    parent, command = int(argv[0]), argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the agent's own command line


if __name__ == "__main__":
    main(sys.argv[1:])
